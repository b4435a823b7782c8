/** Which file systems change without telling inotify: their clients do not see what other hosts, or a lower layer, write. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** Magic numbers of statfs(2). Source: include/uapi/linux/magic.h, and fs/{smb,ceph,lustre} for what is not there. */
const SILENT: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x517b, 'smb'],
  [0x01021997, '9p'],
  [0x65735546, 'fuse'],
  [0x794c7630, 'overlay'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
  [0x73757245, 'coda'],
  [0x7461636f, 'ocfs2'],
  [0x01161970, 'gfs2'],
]);

/** The file system that holds the path (or what of it exists), if it is one that inotify cannot be trusted on. */
export function silentFilesystemOf(path: string, typeOf = statfsType): string | null {
  for (let at = path; ; at = dirname(at)) {
    const type = typeOf(at);
    if (type !== null) return SILENT.get(type >>> 0) ?? null;
    if (at === dirname(at)) return null;
  }
}

function statfsType(path: string): number | null {
  try {
    return statfsSync(path).type;
  } catch {
    return null;
  }
}
