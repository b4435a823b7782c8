/** The kernel's log, as far as the lab asks it: what the IOMMU refused, and what was reset. */
import { closeSync, constants, openSync, readSync } from 'node:fs';

/** The lines of VT-d that report a refused access since the boot. The kernel limits their rate: none is none, more than none is at least so many. */
export function dmarFaults(): readonly string[] {
  return linesOf(/DMAR: .*fault addr/);
}

/** The lines that report a reset of a device since the boot. */
export function resetsOf(bdf: string): readonly string[] {
  return linesOf(/: reset/).filter((line) => line.includes(bdf));
}

function linesOf(pattern: RegExp): readonly string[] {
  const fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  const record = Buffer.alloc(8192);
  const lines: string[] = [];
  try {
    for (;;) {
      const line = record.toString('utf8', 0, readSync(fd, record, 0, record.length, null));
      if (pattern.test(line)) lines.push(line.slice(line.indexOf(';') + 1).trim());
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return lines;
  } finally {
    closeSync(fd);
  }
}
