# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's strongSwan as gateway b of the topology. Its ESP is in user space (kernel-libipsec: ESP in UDP
# alone, tunnel mode, no ESN), or kernel XFRM's with SWAN_KERNEL=yes (tests/vm). After scenario.sh. Everything of it stands in $WORK/swan: an
# instance of its own, with a /run of its own.

SWAN=$WORK/swan
CHARON=/usr/sbin/charon-systemd

swan_missing() { ! [ -x $CHARON ] || ! command -v swanctl >/dev/null; }

# Ends the scenario, counted as skipped, where it is not installed.
swan_or_skip()
{
	swan_missing || return 0
	skip "$(basename "$0" .sh): charon-systemd or swanctl is not installed: make deps"
	exit 0
}

ike_cleanup()
{
	[ "$FAILED" -eq 0 ] || tail -n 40 "$SWAN/charon.log" | sed 's/^/# charon: /'
}

# swan_start [LINES of charon-systemd {}]; SWAN_LOG: what its log holds
# shellcheck disable=SC2120 # scenarios pass them
swan_start()
{
	local plugins='random nonce openssl pem pkcs1 pkcs8 x509 pubkey revocation constraints curve25519 gmp
		hmac kdf aes gcm sha1 sha2 kernel-libipsec kernel-netlink socket-default vici updown'

	[ "${SWAN_KERNEL:-}" != yes ] || plugins=${plugins/kernel-libipsec/}
	mkdir -p "$SWAN"
	cat >"$SWAN/strongswan.conf" <<-END
		charon-systemd {
			load = ${plugins//[$'\n\t']/ }
			install_routes = yes
			retransmit_tries = 3
			retransmit_timeout = 1
			filelog {
				f {
					path = $SWAN/charon.log
					${SWAN_LOG:-default = 1
					ike = 2
					cfg = 2
					flush_line = yes}
				}
			}
			plugins {
				vici { socket = unix://$SWAN/charon.vici }
				kernel-libipsec { allow_peer_ts = no }
				socket-default { use_ipv6 = yes }
			}
			${1:-}
		}
		swanctl { socket = unix://$SWAN/charon.vici }
	END
	# shellcheck disable=SC2016
	spawn gw-b "$SWAN/out" unshare -m bash -c "mount -t tmpfs none /run &&
		STRONGSWAN_CONF=$SWAN/strongswan.conf exec $CHARON"
	SWAN_PID=$PID
	until_true 10 test -S "$SWAN/charon.vici"
}

swan_stop()
{
	end_pid "$SWAN_PID" 5
	rm -f "$SWAN/charon.vici" # which tells that the next one is ready
}
swan_kill()
{
	kill -KILL "$SWAN_PID" && reap "$SWAN_PID"
	rm -f "$SWAN/charon.vici"
	return 0
}

swanctl_() { STRONGSWAN_CONF=$SWAN/strongswan.conf timeout 30 swanctl "$@"; }

# What a scenario may set: SWAN_PROPOSALS SWAN_ESP SWAN_LINES SWAN_CHILD_LINES SWAN_LOCAL_TS
# SWAN_REMOTE_TS SWAN_AUTH SWAN_LOCAL SWAN_REMOTE SWAN_PSK SWAN_ADDR SWAN_PEER SWAN_ENCAP; SWAN_CHILDREN:
# more of them
swan_config()
{
	cat >"$SWAN/swanctl.conf" <<-END
		connections {
			peer {
				version = 2
				local_addrs = ${SWAN_ADDR:-192.0.2.2}
				remote_addrs = ${SWAN_PEER:-192.0.2.1}
				proposals = ${SWAN_PROPOSALS:-aes128gcm16-prfsha256-x25519}
				encap = ${SWAN_ENCAP:-yes}
				${SWAN_LINES:-}
				local {
					auth = ${SWAN_AUTH:-psk}
					id = gw2.example.org
					${SWAN_LOCAL:-}
				}
				remote {
					auth = ${SWAN_AUTH:-psk}
					id = ${SWAN_REMOTE_ID:-gw1.example.org}
					${SWAN_REMOTE:-}
				}
				children {
					net4 {
						local_ts = ${SWAN_LOCAL_TS:-10.2.0.0/16}
						remote_ts = ${SWAN_REMOTE_TS:-10.1.0.0/16}
						esp_proposals = ${SWAN_ESP:-aes128gcm16-x25519}
						${SWAN_CHILD_LINES:-}
					}
					${SWAN_CHILDREN:-}
				}
			}
		}
		secrets {
			ike-peer {
				id-1 = gw1.example.org
				id-2 = gw2.example.org
				secret = "${SWAN_PSK:-$IKE_PSK_a}"
			}
			${SWAN_SECRETS:-}
		}
	END
}

# Reads its config anew; SAs that were made with another one are ended before.
swan_load()
{
	swan_config
	swanctl_ --load-all --file "$SWAN/swanctl.conf" --noprompt >"$SWAN/load" 2>&1 || {
		note <"$SWAN/load"
		return 1
	}
}

swan_said() { grep -Eq "$1" "$SWAN/charon.log"; }
swan_sas() { swanctl_ --list-sas --raw 2>/dev/null; }
# How many children are installed.
swan_children() { swan_sas | grep -o 'state=INSTALLED' | wc -l; }

# --- both sides: ours is gateway a

swan_down() { [ "$(ike_sas a)" = 0 ] && [ "$(swan_children)" = 0 ]; }
swan_both_start()
{
	# shellcheck disable=SC2119
	gw_config a && gw_attach a >/dev/null && gw_start a && swan_start && swan_load && ike_start a
}

# With the settings of now, nothing up; xipsecd has them, too.
swan_both_anew()
{
	ike_stop a
	swanctl_ --terminate --ike peer --force >/dev/null 2>&1
	gw_config a
	gw a reload >/dev/null 2>&1
	swan_load && ike_start a && until_true 5 swan_down
}
