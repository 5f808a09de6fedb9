#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Process 1 of the guest after init: mounts what a Linux has, runs the command, writes its exit status
# and powers off. Reads /run/vm/settings (MODULES, LIMIT) and /run/vm/command, both written by run.sh.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
# Emulation: seconds of a real machine are not enough here, whatever it is that waits.
export XIPSEC_VM=1 XIPSEC_SLOW=5 RESULTS=/run/vm/out
. /run/vm/settings

mkdir -p /dev/pts /dev/shm /usr/lib/modules /run/lock
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tracefs trace /sys/kernel/tracing
mount --bind "$MODULES" /usr/lib/modules
modprobe tun # or there is no /dev/net/tun: nobody makes nodes here
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
hostname vm
ip link set lo up

timeout -k 10 "$LIMIT" bash /run/vm/command >/run/vm/output 2>&1 </dev/null
echo $? >/run/vm/status.new
dmesg >/run/vm/dmesg
mv /run/vm/status.new /run/vm/status
sync
busybox poweroff -f
