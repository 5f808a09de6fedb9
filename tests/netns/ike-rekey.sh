#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2034,SC2154 # settings that the sourced files read
# Rekeys under load: 100 of a child, each completed (another pair of SPIs), begun by either side one
# behind the other, while both rekey children and IKE SAs at times of their own as well: no packet is
# lost, none comes twice.
#
#	red-a --- gw-a ===[capture]=== gw-b --- red-b		load in both directions
. "$(dirname "$0")/../lib/scenario.sh"
. "$LIB/ike.sh"
. "$LIB/leak.sh"

# Each side rekeys on its own clock: often at the same time.
IKE_CHILD_LINES="rekey_time = 2s
life_time = 20s
rand_time = 1s"
IKE_LINES="rekey_time = 7s
rand_time = 3s
over_time = 30s"
WANTED=${REKEYS:-100}

# rekeys N: begins them by VICI, at a, at b, at both at the same time, and so on; each when a child of the
# one before is up at a, alone. Some more than N: of two at the same time one child may go unused.
rekeys()
{
	/usr/bin/python3 - "$WORK" "$1" <<-'END'
		import re, socket, struct, sys, time

		def packet(kind, name, text=b""):
		    body = bytes([kind, len(name)]) + name + text
		    return struct.pack("!I", len(body)) + body

		class Daemon:
		    def __init__(self, side):
		        self.sock = socket.socket(socket.AF_UNIX)
		        self.sock.settimeout(10)
		        self.sock.connect(f"{sys.argv[1]}/run-{side}/charon.vici")
		    def ask(self):
		        self.sock.sendall(packet(0, b"rekey", b"\x03\x05child\x00\x04net4"))
		    def hear(self):
		        (n,) = struct.unpack("!I", self.sock.recv(4, socket.MSG_WAITALL))
		        return self.sock.recv(n, socket.MSG_WAITALL)
		    def answered(self):
		        while self.hear()[0] != 1:
		            pass

		a, b, watch = Daemon("a"), Daemon("b"), Daemon("a")
		watch.sock.sendall(packet(3, b"child-updown"))
		came, there = set(), set()
		for i in range(int(sys.argv[2]) * 6 // 5):
		    sides = ((a,), (b,), (a, b))[i % 3]
		    for side in sides:
		        side.ask()
		    for side in sides:
		        side.answered()
		    before = len(came)
		    while len(came) == before or len(there) > 1:
		        event = watch.hear()
		        spi = re.search(rb"\x07spi-out\x00\x08(.{8})", event)
		        if b"\x04name\x00\x04net4" not in event:
		            continue
		        if b"\x02up\x00\x03yes" in event:
		            came.add(spi[1])
		            there.add(spi[1])
		        else:
		            there.discard(spi[1])
		    time.sleep(0.02) # more SAs outlive their delete than an IKE SA may have: the oldest go
		print(f"# {len(came)} children came up")
	END
}
tunnel_works() { ike_start a && ike_start b && until_true 10 ping4 a 1 && until_true 10 ping6 a 1; }

# What was sent, by the generator's own count.
sent() { tail -n 1 "$WORK/send-$1.log"; }

# Senders first: what is under way arrives.
senders_stop()
{
	local pid
	for pid in $(head -n 2 <<<"${LOAD_PIDS// /$'\n'}"); do
		end_pid "$pid" 2
	done
	sleep 0.5
}

leak_begin || exit 1
check "$WANTED children take each other's place" rekeys "$WANTED"
senders_stop
load_stop
echo "# load: $(cat "$WORK/load-ab") / $(cat "$WORK/load-ba")"
for x in a b; do gw $x status | grep -E ' drop ' | sed "s/^/gw-$x /" | note; done
check_eq "a to b: nothing was lost of $(sent a)" "$(load_field ab received)" "$(sent a)"
check_eq "b to a: nothing was lost of $(sent b)" "$(load_field ba received)" "$(sent b)"
of_load() { tshark -r "$CAPTURE_FILE" -T fields -e esp.spi -Y 'esp && ip.src == 192.0.2.1' 2>/dev/null | sort -u | wc -l; }
check_gt "they carried it, each its part" "$(of_load)" "$WANTED"
check "both sides are up" test "$(ike_sas a net4)" -ge 2 -a "$(ike_sas b net4)" -ge 2
leak_end -i
