#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-2-Clause
# First process of the guest, in the initramfs: the host's root, read-only, below a tmpfs; then
# guest.sh of the results folder.
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /dev /low /up /new
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
	[ ! -e "$module" ] || insmod "$module"
done
mount -t virtiofs -o ro host /low || echo "init: no root over virtiofs"
mount -t tmpfs -o size=75% up /up && mkdir /up/upper /up/work
mount -t overlay -o lowerdir=/low,upperdir=/up/upper,workdir=/up/work root /new || echo "init: no overlay"
mount -t tmpfs run /new/run
mkdir /new/run/vm
mount -t virtiofs results /new/run/vm || echo "init: no results over virtiofs"
umount /proc
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -o move /dev /new/dev
exec switch_root /new /bin/bash /run/vm/guest.sh
