#!/bin/busybox sh
# PID 1 of the guest becomes systemd, on a root that can be written: an overlay on a tmpfs. Its one
# target runs init.sh as a service; nothing else of the machine is started.
b=/bin/busybox
set -e
$b mount -t tmpfs tmpfs /mnt
$b mkdir /mnt/upper /mnt/work /mnt/root
$b mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for dir in dev proc sys run; do $b mount -o move /$dir /mnt/root/$dir; done
units=/mnt/root/run/systemd/system
$b mkdir -p $units
$b cat > $units/lab.target <<UNIT
[Unit]
DefaultDependencies=no
Requires=lab.service
UNIT
$b cat > $units/lab.service <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/busybox sh $LAB_REPO/test/lab/init.sh
UNIT
cd /mnt/root
$b pivot_root . mnt
exec $b chroot . /lib/systemd/systemd --unit=lab.target
