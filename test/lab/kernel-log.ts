/** The kernel's log, as far as the lab asks it: what the IOMMU refused. */
import { closeSync, constants, openSync, readSync } from 'node:fs';

/** The lines of VT-d that report a refused access since the boot. The kernel limits their rate: none is none, more than none is at least so many. */
export function dmarFaults(): readonly string[] {
  const fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  const record = Buffer.alloc(8192);
  const faults: string[] = [];
  try {
    for (;;) {
      const line = record.toString('utf8', 0, readSync(fd, record, 0, record.length, null));
      if (/DMAR: .*fault addr/.test(line)) faults.push(line.slice(line.indexOf(';') + 1).trim());
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return faults;
  } finally {
    closeSync(fd);
  }
}
