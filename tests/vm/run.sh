#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs a command under one of Debian's kernels, in qemu with software emulation:
#
#	run.sh [-k KERNEL] [-t SECONDS] [-r FOLDER] [-i] -- COMMAND...
#	run.sh list
#
# The command sees the whole file system of this machine as it is, may write everywhere (that is lost
# at the end) and keeps what it writes to $RESULTS: FOLDER/out here, beside output, serial and dmesg.
# Its output and its exit status are the ones of run.sh; 124: it took longer than SECONDS; 125: the
# machine could not be had or died. -i: one processor, whose clock counts instructions, a nanosecond
# each, and jumps when it is idle: SECONDS are a hundred times as many there. BUILD, ONLY, KEEP, LIMIT
# and XIPSEC_* are handed on.
set -u
cd "$(dirname "$0")/../.." || exit 125
. tests/vm/kernel.sh

VIRTIOFSD=/usr/lib/qemu/virtiofsd
MEMORY=2048M
BOOT=300 # seconds beside those of the command: to start, and to end after its limit
kernel=6.1 limit=300 results='' icount=''
work=
pids=()

usage() { die "usage: tests/vm/run.sh [-k KERNEL] [-t SECONDS] [-r FOLDER] [-i] -- COMMAND... | list"; }

stop_all()
{
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	pids=()
}

finish()
{
	stop_all
	[ -z "$work" ] || rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# What virtiofsd hands to the guest: the root and all that is mounted in it, through read-only bind
# mounts in a mount namespace of its own, so the guest cannot write here, whatever it does.
share_root()
{
	mkdir -p "$work/root"
	# shellcheck disable=SC2016
	unshare -m --propagation private bash -c '
		mount --bind / "$1/root" && mount -o remount,bind,ro "$1/root" || exit
		{
			findmnt -n -r -o TARGET --real
			for path in "${@:3}"; do findmnt -n -r -o TARGET -T "$path"; done
		} | sort -u | while read -r mount; do
			mount=$(printf %b "$mount")
			[ "$mount" != / ] && mount --bind "$mount" "$1/root$mount" || continue
			mount -o remount,bind,ro "$1/root$mount" || exit
		done || exit
		exec "$2" --socket-path="$1/host.sock" -o source="$1/root" -o cache=always -o sandbox=chroot' \
		- "$work" "$VIRTIOFSD" "$PWD" "$BUILD" "$CACHE" >"$work/host.log" 2>&1 &
	pids+=($!)
}

share_results()
{
	"$VIRTIOFSD" --socket-path="$work/results.sock" -o source="$results" -o cache=auto \
		-o sandbox=chroot >"$work/results.log" 2>&1 &
	pids+=($!)
}

wait_for_sockets()
{
	local name
	for _ in $(seq 100); do
		[ -S "$work/host.sock" ] && [ -S "$work/results.sock" ] && return
		sleep 0.1
	done
	for name in host results; do
		sed "s/^/tests\/vm: virtiofsd ($name): /" "$work/$name.log" >&2
	done
	return 1
}

# What the guest runs, and with what.
write_command()
{
	local name
	mkdir -p "$results/out" && rm -f "$results"/{output,status,status.new,dmesg,serial} &&
		cp tests/vm/guest.sh "$results/guest.sh" || return
	printf 'MODULES=%q\nLIMIT=%q\n' "$KERNEL_DIR/lib/modules" $((limit * ${icount:-1})) >"$results/settings"
	{
		printf 'cd %q || exit 126\nexport BUILD=%q\n' "$PWD" "$BUILD"
		for name in ONLY KEEP LIMIT $(compgen -e XIPSEC_); do
			[ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
		done
		printf 'exec'
		printf ' %q' "$@"
		echo
	} >"$results/command"
}

# One start of the machine, to its end. Software emulation: /dev/kvm is not there, or not for this. The
# emulation does `rep movs` byte by byte: without it the verifier takes a third less. Its cmpxchg16b leaves
# garbage in EFLAGS now and then, and an interrupt right after it brings that back as single steps or a
# panic: without it the kernel's allocator uses no such instruction.
boot()
{
	local processors=(-accel "tcg,thread=multi" -smp 2)
	[ -z "$icount" ] || processors=(-accel "tcg,thread=single" -smp 1 -icount "shift=0,sleep=off")
	local machine=(-machine "q35,memory-backend=mem" "${processors[@]}" -cpu "max,-cx16" -m "$MEMORY"
		-object "memory-backend-memfd,id=mem,size=$MEMORY,share=on"
		-nodefaults -no-user-config -display none -monitor none -no-reboot
		-serial "file:$results/serial" -device virtio-rng-pci
		-kernel "$KERNEL_DIR/vmlinuz" -initrd "$work/initramfs"
		-append "console=ttyS0 quiet oops=panic panic=-1 mitigations=off clearcpuid=rep_good,erms,fsrm")
	local share status=0
	{
		cat "$KERNEL_DIR/initramfs"
		cp tests/vm/init.sh "$work/init"
		(cd "$work" && echo init | busybox cpio -o -H newc 2>/dev/null)
	} >"$work/initramfs" || return
	rm -f "$work"/*.sock
	share_root
	share_results
	wait_for_sockets || return
	for share in host results; do
		machine+=(-chardev "socket,id=$share,path=$work/$share.sock"
			-device "vhost-user-fs-pci,chardev=$share,tag=$share")
	done
	timeout -k 5 $((limit + BOOT)) qemu-system-x86_64 "${machine[@]}" >"$work/qemu.log" 2>&1 </dev/null &
	pids+=($!)
	wait $! || status=$?
	[ ! -s "$work/qemu.log" ] || sed 's/^/tests\/vm: /' "$work/qemu.log" >&2
	stop_all
	return $status
}

why_it_died()
{
	echo "tests/vm: Linux $(cat "$KERNEL_DIR/release") ended without an exit status of the command" >&2
	[ ! -s "$results/serial" ] || tr -d '\r' <"$results/serial" | grep -v '\]  ? ' | tail -n 30 | sed 's/^/tests\/vm: | /' >&2
}

while getopts k:t:r:i option; do
	case $option in
	k) kernel=$OPTARG ;;
	t) limit=$OPTARG ;;
	r) results=$OPTARG ;;
	i) icount=100 ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
if [ "${1:-}" = list ] && [ $# -eq 1 ]; then
	kernel_list
	exit
fi
[ $# -gt 0 ] || usage
[ "$(id -u)" = 0 ] || die "needs root (a mount namespace)"
[ "$(uname -m)" = x86_64 ] || die "is for x86_64"
for tool in qemu-system-x86_64 "$VIRTIOFSD" busybox modprobe depmod xz unshare; do
	command -v "$tool" >/dev/null || die "$tool is not installed: make deps"
done
kernel_prepare "$kernel" || exit
BUILD=$(realpath -m "${BUILD:-build}")
work=$(mktemp -d /tmp/xipsec-vm-XXXXXX) || exit 125
results=${results:-$work/results}
mkdir -p "$results" && results=$(realpath "$results") || exit 125

# One start in some 25 dies early while emulated processors patch the kernel's text.
for attempt in 1 2; do
	write_command "$@" || die "$results cannot be written"
	status=0
	boot || status=$?
	[ -e "$results/status" ] && break
	why_it_died
	# Too slow is not dead: once more would take as long.
	[ $status -ne 124 ] || exit 124
	[ "$attempt" = 2 ] || echo "tests/vm: once more" >&2
done
[ ! -e "$results/output" ] || cat "$results/output"
[ -e "$results/status" ] || exit 125
exit "$(cat "$results/status")"
