# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's libreswan (pluto, on kernel XFRM) as gateway b of the topology: tests/vm. After scenario.sh and
# ike.sh. Everything of it stands in $WORK/pluto: an instance of its own, which `ipsec` does not know.

PLUTO=$WORK/pluto
PLUTO_LIB=/var/cache/xipsec/libreswan/usr/libexec/ipsec # where make deps unpacks it

# Ends the scenario, counted as skipped, where it is not installed.
pluto_or_skip()
{
	[ -x $PLUTO_LIB/pluto ] && command -v certutil >/dev/null && return
	skip "$(basename "$0" .sh): libreswan or certutil is not there: make deps"
	exit 0
}

ike_cleanup()
{
	[ "$FAILED" -eq 0 ] || tail -n 60 "$PLUTO/pluto.log" | sed 's/^/# pluto: /'
}

pluto_start()
{
	mkdir -p "$PLUTO"/{nss,run,d/cacerts,d/crls}
	[ -e "$PLUTO/nss/cert9.db" ] || certutil -N -d "sql:$PLUTO/nss" --empty-password || return
	pluto_config
	# It looks for addconn where the package would have put it.
	# shellcheck disable=SC2016
	spawn gw-b "$PLUTO/out" unshare -m bash -c 'mount -t tmpfs none /usr/libexec && ln -s "$1" /usr/libexec/ipsec &&
		exec "$1/pluto" --nofork --no-dnssec --config "$2/ipsec.conf" --rundir "$2/run" --secretsfile "$2/secrets" \
			--nssdir "$2/nss" --ipsecdir "$2/d" --logfile "$2/pluto.log"' - "$PLUTO_LIB" "$PLUTO"
	until_true 10 test -S "$PLUTO/run/pluto.ctl" && until_true 10 whack_ --listen
}

whack_() { in_ns gw-b timeout 60 $PLUTO_LIB/whack --rundir "$PLUTO/run" "$@"; }

# One of its connections, which share an IKE SA; what a scenario may set: PLUTO_IKE PLUTO_ESP PLUTO_ESN
# PLUTO_ENCAP PLUTO_AUTH PLUTO_LINES, for each of them; PLUTO_PSK.
pluto_conn()
{
	echo "conn $1"
	# What is indented belongs to it.
	sed 's/^[ \t]*/ /' <<-END
		left = 192.0.2.2
		leftid = @gw2.example.org
		leftsubnet = $2
		leftupdown = %disabled
		right = 192.0.2.1
		rightid = @gw1.example.org
		rightsubnet = $3
		ikev2 = insist
		type = ${4:-tunnel}
		authby = ${PLUTO_AUTH:-secret}
		ike = ${PLUTO_IKE:-aes_gcm128-sha2_256-dh31}
		phase2alg = ${PLUTO_ESP:-aes_gcm128-null-dh31}
		esn = ${PLUTO_ESN:-no}
		encapsulation = ${PLUTO_ENCAP:-no}
		auto = add
		${PLUTO_LINES:-}
	END
	echo
}

pluto_config()
{
	{
		printf 'config setup\n\tuniqueids = yes\n\n'
		pluto_conn net4 10.2.0.0/16 10.1.0.0/16
		pluto_conn net6 fd02::/64 fd01::/64
		pluto_conn host 192.0.2.2/32 192.0.2.1/32 transport
	} >"$PLUTO/ipsec.conf"
	(
		umask 077
		echo "@gw1.example.org @gw2.example.org : PSK \"${PLUTO_PSK:-$IKE_PSK_a}\"" >"$PLUTO/secrets"
	)
}

# Reads its connections anew; SAs of the earlier ones end.
pluto_load()
{
	local name
	pluto_config
	whack_ --rereadsecrets >/dev/null
	for name in net4 net6 host; do
		whack_ --delete --name $name >/dev/null 2>&1
		in_ns gw-b $PLUTO_LIB/addconn --config "$PLUTO/ipsec.conf" --ctlsocket "$PLUTO/run/pluto.ctl" $name || return
	done
}

# pluto_key PKCS12-FILE: a certificate, its key and its CA; pluto_ca NAME FILE: a CA that it trusts.
pluto_key() { pk12util -i "$1" -d "sql:$PLUTO/nss" -W '' -K ''; }
pluto_ca() { certutil -A -n "$1" -t CT,, -i "$2" -d "sql:$PLUTO/nss"; }

pluto_said() { grep -Eq "$1" "$PLUTO/pluto.log"; }
# Which of its connections the IKE SA is called after.
pluto_ike_conn() { whack_ --showstates | sed -n 's/.*#[0-9]*: "\([^"]*\)".*ESTABLISHED_IKE_SA.*/\1/p' | tail -n 1; }
# How many children are there.
pluto_children() { whack_ --trafficstatus | grep -c 'type=ESP'; }

pluto_down() { [ "$(ike_sas a)" = 0 ] && [ "$(pluto_children)" = 0 ]; }
pluto_both_start()
{
	gw_config a && gw_attach a >/dev/null && gw_start a && pluto_start && pluto_load && ike_start a
}

# With the settings of now, nothing up; xipsecd has them, too.
pluto_both_anew()
{
	ike_stop a
	gw_config a
	gw a reload >/dev/null 2>&1
	pluto_load && ike_start a && until_true 5 pluto_down
}
