# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Capture on the bridge between the gateways, where no XDP program is: taps on an XDP interface are
# blind. Sourced after topology.sh; needs BUILD.
#
# Where br_netfilter is loaded, the bridge drops IPv4 whose header does not hold (a wrong checksum is
# enough) before anybody on br0 sees it: capture_unfiltered switches that off.

UDPLOAD=$BUILD/tests/tools/udpload
PCAPCHECK=$BUILD/tests/tools/pcapcheck
MARKER=xipsec-PLAINTEXT-marker
CAPTURE_PID=

# The sysctls belong to the link's namespace alone; without br_netfilter there are none.
capture_unfiltered()
{
	local call
	for call in iptables ip6tables arptables; do
		in_ns link test ! -e /proc/sys/net/bridge/bridge-nf-call-$call ||
			net_sysctl link net.bridge.bridge-nf-call-$call=0 || return
	done
}

# capture_start FILE [SNAPLEN [FILTER...]]: returns when it listens.
capture_start()
{
	local file=$1 snaplen=${2:-128}
	shift
	[ $# -eq 0 ] || shift
	CAPTURE_FILE=$file
	capture_unfiltered || return
	# Without --immediate-mode the last second would stay in the ring when it is stopped.
	# A promiscuous bridge hands up every frame once, whichever way it goes.
	spawn link "$file.log" tcpdump -i br0 -n -U --immediate-mode -s "$snaplen" -B 32768 -Z root -w "$file" "$@"
	CAPTURE_PID=$PID
	until_true 5 grep -q 'listening on' "$file.log"
}

capture_size() { stat -c %s "$CAPTURE_FILE"; }

# What is still on its way into the file: until nothing came for a moment, or, when something always
# does, a few of them.
capture_settle()
{
	local size='' moment
	moment=$(awk -v slow="${XIPSEC_SLOW:-1}" 'BEGIN { print 0.15 + 0.15 * slow }')
	for _ in 1 2 3 4 5; do
		[ "$size" != "$(capture_size)" ] || return 0
		size=$(capture_size)
		sleep "$moment"
	done
}

# Ends the capture; fails if packets were lost on the way into it.
capture_stop()
{
	local lost

	capture_settle
	kill -INT "$CAPTURE_PID" 2>/dev/null
	reap "$CAPTURE_PID"
	lost=$(sed -n 's/^\([0-9]*\) packets\? dropped by kernel.*/\1/p' "$CAPTURE_FILE.log")
	if [ "${lost:-unknown}" != 0 ]; then
		echo "# the capture lost ${lost:-an unknown number of} packets"
		return 1
	fi
}

# capture_verdict [PCAPCHECK OPTIONS...]: of the last capture. Sets VERDICT and ESP, CLEAR, MARKED,
# REPEATED. Status: pcapcheck's.
capture_verdict()
{
	local status=0 out

	out=$("$PCAPCHECK" -m "$MARKER" "$@" "$CAPTURE_FILE") || status=$?
	VERDICT=$(echo "$out" | tail -n 1)
	# shellcheck disable=SC2034
	read -r _ ESP _ CLEAR _ MARKED _ OTHER _ REPEATED _ <<<"$VERDICT"
	[ $status -eq 0 ] || note <<<"$out"
	return $status
}

# bad_frames FILE NUMBER: as many marked datagrams, each with an IPv4 header that does not hold, past
# the queueing discipline (and so past TC): what a broken or hostile sender puts on the wire.
bad_frames()
{
	in_ns red-b /usr/bin/python3 - "$@" <<-'END'
		import socket, struct, sys
		PACKET_QDISC_BYPASS = 20
		sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
		sock.setsockopt(263, PACKET_QDISC_BYPASS, 1)
		sock.bind((sys.argv[1], 0x0800))
		text = b"xipsec-PLAINTEXT-marker!"
		ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(text), 0, 0, 64, 17, 0xdead,
		                 socket.inet_aton("198.51.100.1"), socket.inet_aton("198.51.100.2"))
		frame = bytes.fromhex("020000000077020000000001") + b"\x08\x00" + ip
		frame += struct.pack("!HHHH", 1, 2, 8 + len(text), 0) + text
		for _ in range(int(sys.argv[2])):
		    sock.send(frame)
	END
}

# Plaintext on purpose, straight over the link from one gateway's side of the bridge to the other:
# a capture that does not see it proves nothing. Needs no cooperation of the gateways: the packets
# start inside the link's own namespace, where no program runs.
capture_positive_control()
{
	local file=$WORK/control.pcap status=0

	ip -n "$TOPO-link" link add ctl0 type veth peer name ctl1 netns "$TOPO-red-b"
	ip -n "$TOPO-link" link set ctl0 master br0
	ip -n "$TOPO-link" link set ctl0 up
	ip -n "$TOPO-red-b" link set ctl1 up
	ip -n "$TOPO-red-b" addr add 198.51.100.1/24 dev ctl1
	ip -n "$TOPO-red-b" neigh replace 198.51.100.2 lladdr 02:00:00:00:00:77 dev ctl1
	capture_start "$file" || status=1
	in_ns red-b "$UDPLOAD" send 198.51.100.2 9 100 64 1 >/dev/null
	capture_stop || status=1
	capture_verdict -k 1 >/dev/null && status=1
	[ "${MARKED:-0}" -gt 0 ] || status=1
	echo "# positive control: $VERDICT"
	capture_start "$file" || status=1
	bad_frames ctl1 5 || status=1
	capture_stop || status=1
	capture_verdict -k 1 >/dev/null && status=1
	[ "${MARKED:-0}" -eq 5 ] || status=1
	echo "# positive control, 5 frames with a wrong header: $VERDICT"
	ip -n "$TOPO-red-b" link del ctl1
	return $status
}
