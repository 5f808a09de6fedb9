# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian's kernel packages, fetched with apt and unpacked outside the tree; sourced by run.sh.
#
#	$CACHE/KERNEL/PACKAGE=VERSION/vmlinuz, lib/modules/RELEASE/, initramfs, release
#	$CACHE/apt/: lists of Debian sid, for the newest kernel alone; the machine's apt never sees them
#
# kernel_prepare KERNEL sets KERNEL_DIR. What is fetched already serves without a network.

CACHE=${XIPSEC_VM_CACHE:-/var/cache/xipsec/kernels}
KERNELS='6.1 6.12 newest'

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
	newest) echo linux-image-cloud-amd64 ;;
	*) die "no such kernel: $1 (there are: $KERNELS)" ;;
	esac
}

# kernel_apt KERNEL TOOL...: apt's tools with the lists where that kernel is.
kernel_apt()
{
	local kernel=$1 tool=$2 apt=$CACHE/apt
	shift 2
	if [ "$kernel" != newest ]; then
		"$tool" "$@"
		return
	fi
	"$tool" -o Dir::Etc::SourceList="$apt/sources" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root "$@"
}

# sid, of the mirror that this machine uses, read at most once a day.
kernel_update()
{
	local apt=$CACHE/apt mirror
	[ "$1" = newest ] || {
		apt-get update -qq >&2
		return
	}
	[ -z "$(find "$apt/read" -mtime -1 2>/dev/null)" ] || return 0
	# shellcheck disable=SC2016
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		"Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -n 1)
	[ -n "$mirror" ] && mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" || return
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$apt/sources"
	kernel_apt newest apt-get update -qq >&2 && touch "$apt/read"
}

# The package and version that apt offers: PACKAGE=VERSION, or nothing.
kernel_offered()
{
	local package version
	package=$(kernel_apt "$1" apt-cache depends --important "$(kernel_metapackage "$1")" 2>/dev/null |
		awk -v name="linux-image-${1/newest/[0-9]}." \
			'$1 == "Depends:" && match($2, "^" name) { print $2; exit }')
	[ -n "$package" ] || return
	version=$(kernel_apt "$1" apt-cache policy "$package" | awk '$1 == "Candidate:" { print $2 }')
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

# kernel_unpack DIR DEB...: modules in /lib or /usr/lib, the kernel in /boot or beside its modules.
kernel_unpack()
{
	local dir=$1 deb lib release
	shift
	rm -rf "$dir" && mkdir -p "$dir/root" || return
	for deb; do dpkg-deb -x "$deb" "$dir/root" || return; done
	lib=$dir/root/lib
	[ -d "$lib" ] || lib=$dir/root/usr/lib
	release=$(basename "$lib"/modules/*)
	mkdir -p "$dir/lib" && mv "$lib/modules" "$dir/lib/modules" || return
	mv "$dir/root/boot/vmlinuz-$release" "$dir/vmlinuz" 2>/dev/null ||
		mv "$dir/lib/modules/$release/vmlinuz" "$dir/vmlinuz" || return
	rm -rf "$dir/root"
	depmod -b "$dir" "$release" && echo "$release" >"$dir/release" &&
		kernel_initramfs "$dir" "$release" && mv "$dir/initramfs.new" "$dir/initramfs"
}

# kernel_debs KERNEL PACKAGE=VERSION: what holds it; an image package can be but a name for two others.
kernel_debs()
{
	local part other=
	for part in binary modules; do
		other+=" ${2/#linux-image-/linux-$part-}"
	done
	# shellcheck disable=SC2086
	if kernel_apt "$1" apt-cache show $other >/dev/null 2>&1; then echo $other; else echo "$2"; fi
}

# kernel_fetch KERNEL PACKAGE=VERSION: downloads and unpacks it.
kernel_fetch()
{
	local work dir=$CACHE/$1/$2
	echo "tests/vm: fetching $2" >&2
	work=$(mktemp -d "$CACHE/fetch.XXXXXX") || return
	# shellcheck disable=SC2046
	if (cd "$work" && kernel_apt "$1" apt-get download -q -o APT::Sandbox::User=root \
		$(kernel_debs "$1" "$2") >log 2>&1) &&
		kernel_unpack "$work/kernel" "$work"/*.deb >>"$work/log" 2>&1; then
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
	[ "$kernel" != newest ] || kernel_update newest
	want=$(kernel_offered "$kernel")
	if [ -z "$want" ] && [ -z "$(kernel_cached "$kernel")" ]; then
		kernel_update "$kernel"
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
		printf '%-7s cached: %s, offered: %s\n' "$kernel" "$(kernel_cached "$kernel" | grep . || echo none)" \
			"$(kernel_offered "$kernel" | grep . || echo none)"
	done
}
