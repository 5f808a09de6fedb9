# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's kernel packages, fetched with apt and unpacked outside the tree; sourced by run.sh.
#
#	$CACHE/PACKAGE_VERSION/vmlinuz, lib/modules/RELEASE/, initramfs, release
#
# kernel_prepare KERNEL sets KERNEL_DIR. What is fetched already serves without a network.

CACHE=${XIPSEC_VM_CACHE:-/var/cache/xipsec/kernels}
KERNELS='6.1 6.12'

die()
{
	echo "tests/vm: $*" >&2
	exit 125
}

# The cloud flavour: small, and it has all that the tests need. Its metapackage names the newest.
kernel_metapackage()
{
	case $1 in
	6.1) echo linux-image-cloud-amd64 ;;
	6.12) echo linux-image-6.12-cloud-amd64 ;;
	*) die "no such kernel: $1 (there are: $KERNELS)" ;;
	esac
}

# The package and version that apt offers: PACKAGE=VERSION, or nothing.
kernel_offered()
{
	local package version
	package=$(apt-cache depends --important "$(kernel_metapackage "$1")" 2>/dev/null |
		awk -v name="linux-image-$1." '$1 == "Depends:" && index($2, name) == 1 { print $2; exit }')
	[ -n "$package" ] || return
	version=$(apt-cache policy "$package" | awk '$1 == "Candidate:" { print $2 }')
	[ "${version:-(none)}" = '(none)' ] || echo "$package=$version"
}

# The newest one that is unpacked: PACKAGE=VERSION, or nothing.
kernel_cached()
{
	find "$CACHE" -mindepth 3 -maxdepth 3 -path "$CACHE/$1/*/initramfs" -printf '%h\n' 2>/dev/null |
		sed 's,.*/,,' | sort -V | tail -n 1
}

# busybox and the modules that the root filesystem needs, in order, unpacked; the rest is loaded on
# demand. run.sh adds init.sh, which belongs to the tree and not to the kernel.
kernel_initramfs()
{
	local dir=$1 release=$2 root=$1/initramfs.d module path n=10
	local busybox=/bin/busybox
	mkdir -p "$root/bin" "$root/modules" || return
	cp "$busybox" "$root/bin/busybox" || return
	for module in virtio_pci virtiofs overlay; do
		# Built in: "builtin NAME"; both may come up twice.
		while read -r path; do
			[ -z "$(find "$root/modules" -name "*-$(basename "${path%.xz}")")" ] || continue
			n=$((n + 1))
			case $path in
			*.xz) xz -dc "$path" >"$root/modules/$n-$(basename "${path%.xz}")" ;;
			*) cp "$path" "$root/modules/$n-$(basename "$path")" ;;
			esac || return
		done < <(modprobe -d "$dir" -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }')
	done
	(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$dir/initramfs.new" || return
	rm -rf "$root"
}

# kernel_unpack DEB DIR
kernel_unpack()
{
	local deb=$1 dir=$2 release
	rm -rf "$dir" && mkdir -p "$dir/root" && dpkg-deb -x "$deb" "$dir/root" || return
	release=$(basename "$dir"/root/lib/modules/*)
	mkdir -p "$dir/lib" && mv "$dir/root/lib/modules" "$dir/lib/modules" &&
		mv "$dir/root/boot/vmlinuz-$release" "$dir/vmlinuz" && rm -rf "$dir/root" || return
	depmod -b "$dir" "$release" && echo "$release" >"$dir/release" &&
		kernel_initramfs "$dir" "$release" && mv "$dir/initramfs.new" "$dir/initramfs"
}

# kernel_fetch KERNEL PACKAGE=VERSION: downloads and unpacks it.
kernel_fetch()
{
	local work dir=$CACHE/$1/$2
	echo "tests/vm: fetching $2" >&2
	work=$(mktemp -d "$CACHE/fetch.XXXXXX") || return
	if (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$2" >log 2>&1) &&
		kernel_unpack "$work"/*.deb "$work/kernel" >>"$work/log" 2>&1; then
		rm -rf "$dir" && mkdir -p "$CACHE/$1" && mv "$work/kernel" "$dir"
		rm -rf "$work"
	else
		tail -n 5 "$work/log" >&2
		rm -rf "$work"
		return 1
	fi
}

kernel_prepare()
{
	local kernel=$1 want
	kernel_metapackage "$kernel" >/dev/null || exit
	mkdir -p "$CACHE" || die "$CACHE cannot be made"
	exec 9>"$CACHE/lock"
	flock 9 || die "$CACHE/lock cannot be locked"
	want=$(kernel_offered "$kernel")
	if [ -z "$want" ] && [ -z "$(kernel_cached "$kernel")" ]; then
		apt-get update -qq >&2
		want=$(kernel_offered "$kernel")
	fi
	if [ -n "$want" ] && [ ! -e "$CACHE/$kernel/$want/initramfs" ]; then
		kernel_fetch "$kernel" "$want" || want=
	fi
	exec 9>&-
	[ -n "$want" ] || want=$(kernel_cached "$kernel")
	[ -n "$want" ] || die "apt has no $(kernel_metapackage "$kernel"), and none is in $CACHE:" \
		"is bookworm-security among apt's sources, and the network there?"
	# shellcheck disable=SC2034 # run.sh reads it
	KERNEL_DIR=$CACHE/$kernel/$want
}

kernel_list()
{
	local kernel
	for kernel in $KERNELS; do
		printf '%-5s cached: %s, offered: %s\n' "$kernel" "$(kernel_cached "$kernel" | grep . || echo none)" \
			"$(kernel_offered "$kernel" | grep . || echo none)"
	done
}
