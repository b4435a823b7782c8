// Compiles C against the newest Debian kernel headers that know iommufd: linux-libc-dev of Debian 12
// is older than it. Used by the record of struct layouts, the benchmarks and the lab.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The directory of the headers. Throws with the package to install. */
export function kernelHeaders() {
  const found = existsSync('/usr/src') ? readdirSync('/usr/src') : [];
  const newest = found
    .filter((name) => /^linux-headers-.*common$/.test(name))
    .map((name) => join('/usr/src', name, 'include/uapi/linux'))
    .filter((dir) => existsSync(join(dir, 'iommufd.h')))
    .sort()
    .at(-1);
  if (newest === undefined) {
    throw new Error(
      'no kernel headers with iommufd.h: apt-get install linux-headers-6.12.*-common (see `apt-cache search linux-headers-6.12`)',
    );
  }
  return newest;
}

/** Compiles one file into one program. Throws with what the compiler said. */
export function compileC(source, program) {
  const include = mkdtempSync(join(tmpdir(), 'autodomain-headers-'));
  try {
    mkdirSync(join(include, 'linux'));
    for (const header of ['iommufd.h', 'vfio.h'])
      symlinkSync(join(kernelHeaders(), header), join(include, 'linux', header));
    const flags = ['-O2', '-std=gnu17', '-Wall', '-Wextra', '-pthread', '-D__user='];
    const gcc = spawnSync('gcc', [...flags, `-I${include}`, '-o', program, source], {
      encoding: 'utf8',
    });
    if (gcc.error?.code === 'ENOENT')
      throw new Error('gcc is missing: apt-get install gcc libc6-dev');
    if (gcc.status !== 0) throw new Error(`gcc refuses ${source}:\n${gcc.stderr}`);
  } finally {
    rmSync(include, { recursive: true });
  }
}
