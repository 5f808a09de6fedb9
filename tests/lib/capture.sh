# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Capture on the bridge between the gateways, where no XDP program is: taps on an XDP interface are
# blind. Sourced after topology.sh; needs BUILD.

UDPLOAD=$BUILD/tests/tools/udpload
PCAPCHECK=$BUILD/tests/tools/pcapcheck
MARKER=xipsec-PLAINTEXT-marker
CAPTURE_PID=

# capture_start FILE [SNAPLEN [FILTER...]]: returns when it listens.
capture_start()
{
	local file=$1 snaplen=${2:-128}
	shift
	[ $# -eq 0 ] || shift
	CAPTURE_FILE=$file
	# Without --immediate-mode the last second would stay in the ring when it is stopped.
	# A promiscuous bridge hands up every frame once, whichever way it goes.
	spawn link "$file.log" tcpdump -i br0 -n -U --immediate-mode -s "$snaplen" -B 32768 -Z root -w "$file" "$@"
	CAPTURE_PID=$PID
	until_true 5 grep -q 'listening on' "$file.log"
}

# Ends the capture; fails if packets were lost on the way into it.
capture_stop()
{
	local lost

	sleep 0.3
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
	ip -n "$TOPO-red-b" link del ctl1
	return $status
}
