# SPDX-License-Identifier: BSD-2-Clause
# Enforces the column "may include" of the table of rooms in docs/architecture.md. "name.h" is ours,
# <name.h> is not. A room may always include itself. The C library and the kernel's UAPI headers are
# free, but for include/ (linux/types.h alone) and bpf/ (linux/ and libbpf's bpf/ alone).

function fail(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad++
}

function trim(text) {
	gsub(/^[ \t`]+|[ \t`]+$/, "", text)
	return text
}

function read_table(	line, cell, n, i, word, room) {
	while ((getline line < table) > 0) {
		if (line !~ /^\| `[a-z]+\/` \|/)
			continue
		split(line, cell, "|")
		room = trim(cell[2])
		sub(/\/$/, "", room)
		rooms[room] = 1
		n = split(cell[4], word, ",")
		for (i = 1; i <= n; i++)
			may[room, trim(word[i])] = 1
	}
	close(table)
	if (!("loader" in rooms)) {
		print table ": no table of rooms found"
		exit 2
	}
}

# Which of our rooms, or which generated header, a quoted name belongs to.
function room_of(name, own,	first) {
	if (name ~ /\.skel\.h$/)
		return "skeleton"
	if (name ~ /config_(parse|scan)\.h$/)
		return "lib"
	if (name ~ /^xipsec\//)
		return "include"
	first = name
	if (!sub(/\/.*/, "", first))
		return own
	return first in rooms ? first : ""
}

function library_of(name) {
	if (name ~ /^bpf\//) return "libbpf"
	if (name ~ /^xdp\//) return "libxdp"
	if (name ~ /^openssl\//) return "OpenSSL"
	if (name ~ /^intel-ipsec-mb/) return "libipsec-mb"
	if (name ~ /^libmnl\//) return "libmnl"
	if (name ~ /^nftables\//) return "libnftables"
	if (name ~ /^event(2\/|\.h)/) return "libevent"
	if (name ~ /^json-c\//) return "json-c"
	if (name ~ /^cap-ng/) return "libcap-ng"
	if (name ~ /^seccomp\.h/) return "libseccomp"
	if (name ~ /^cmocka/) return "cmocka"
	if (name ~ /^pcap/) return "libpcap"
	if (name ~ /^n?curses/) return "ncurses"
	if (name ~ /^(curl|microhttpd|unbound|libvici)/) return name
	return ""
}

function ours(room, name,	other) {
	other = room_of(name, room)
	if (other == "")
		fail("\"" name "\" names no room: use <> for headers that are not ours")
	else if (other != room && !((room, other "/") in may) && !((room, other) in may))
		fail(room "/ may not include \"" name "\"")
}

function foreign(room, name,	library) {
	if (name ~ /^xipsec\//)
		fail("<" name "> is ours: use \"\"")
	library = library_of(name)
	if (library != "") {
		if (!((room, library) in may))
			fail(room "/ may not include <" name ">: " library " is not in its column")
	} else if (room == "include" && name != "linux/types.h") {
		fail("include/ may include linux/types.h alone, not <" name ">")
	} else if (room == "bpf" && name !~ /^(linux|asm)\//) {
		fail("bpf/ may include linux/ and libbpf's headers alone, not <" name ">")
	}
}

BEGIN { read_table() }

FNR == 1 {
	room = FILENAME
	sub(/\/.*/, "", room)
	if (!(room in rooms))
		fail("stands in no room of the table in " table)
}

/^[ \t]*#[ \t]*include[ \t]/ && !((room, "all") in may) {
	name = $0
	sub(/^[^"<]*["<]/, "", name)
	sub(/[">].*/, "", name)
	if ($0 ~ /"/)
		ours(room, name)
	else
		foreign(room, name)
}

END { exit bad > 0 }
