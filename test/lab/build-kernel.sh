#!/bin/bash
# Builds the lab's kernel once, from Debian's kernel source, into the directory given.
# Needs the Debian packages linux-source-6.12, flex, bison, bc, libelf-dev, libssl-dev, gcc, make, xz-utils.
set -euo pipefail
out=$1
config=$(cd "$(dirname "$0")" && pwd)/kernel.config
source=$(ls /usr/src/linux-source-6.*.tar.xz 2>/dev/null | sort -V | tail -1 || true)
if [ -z "$source" ]; then
  echo 'no kernel source: apt-get install linux-source-6.12 flex bison bc libelf-dev libssl-dev gcc make xz-utils' >&2
  exit 1
fi
mkdir -p "$out"
tar -xf "$source" -C "$out" --strip-components=1
cd "$out"
make -s tinyconfig
scripts/kconfig/merge_config.sh -m .config "$config" >/dev/null
make -s olddefconfig
make -s -j"$(nproc)" bzImage
