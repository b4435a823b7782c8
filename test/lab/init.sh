#!/bin/busybox sh
# PID 1 of the guest: mounts what Node and the suites need, runs the suites of this boot (or the one
# program that lab.main names), powers off. In the boot `systemd` it becomes systemd, which runs it
# once more, as a service.
# The host's root is the guest's, read-only; only /run can be written, with the share for results in
# it: a tmpfs on /tmp would hide a checkout that is there.
b=/bin/busybox
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run/tmp TMPDIR=/run/tmp CI=true UV_THREADPOOL_SIZE=16 LAB_OUT=/run/out
if [ $$ = 1 ]; then
  $b mount -t proc proc /proc
  $b mount -t sysfs sysfs /sys
  $b mount -t debugfs debugfs /sys/kernel/debug
  $b mount -t tmpfs tmpfs /run
  $b mkdir -p -m 1777 /run/tmp
  $b mkdir -p /run/out
  $b mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 out /run/out
fi
for word in $($b cat /proc/cmdline); do
  case $word in lab.*) export "LAB_$(echo "${word#lab.}" | $b tr a-z A-Z | $b cut -d= -f1)=${word#*=}" ;; esac
done
if [ $$ = 1 ] && [ "${LAB_BOOT:-}" = systemd ]; then
  exec $b sh "$LAB_REPO/test/lab/systemd.sh"
fi
cd "$LAB_REPO" || $b poweroff -f
$b uname -r > /run/out/uname
if [ -n "${LAB_MAIN:-}" ]; then
  "$LAB_NODE" "$LAB_MAIN" > /run/out/main.log 2>&1
else
  "$LAB_NODE" node_modules/vitest/vitest.mjs run --configLoader runner --config test/lab/vitest.config.ts \
    --reporter=default --reporter=json --outputFile.json=/run/out/verdict.json > /run/out/vitest.log 2>&1
fi
echo $? > /run/out/exit
$b sync
$b poweroff -f
