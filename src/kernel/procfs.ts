/**
 * Who has VFIO files open, from /proc. Absence proves nothing: a file in flight between processes,
 * or held by the kernel itself, does not show here. Only BIND proves that a device is free.
 */
import type { Holder } from '../graph/types.ts';
import type { Reader } from './reader.ts';

/** Open VFIO files of other processes. */
export interface Holders {
  /** By name of the device file, such as `vfio3`. */
  readonly byCdev: ReadonlyMap<string, readonly Holder[]>;
  /** By number of the legacy group file. */
  readonly byGroup: ReadonlyMap<number, readonly Holder[]>;
}

/** Scans the files of every process but our own. */
export function readHolders(reader: Reader, ownPid: number): Holders {
  const byCdev = new Map<string, Holder[]>();
  const byGroup = new Map<number, Holder[]>();
  let denied = 0;
  for (const name of reader.names('/proc', null) ?? []) {
    if (!/^[0-9]+$/.test(name) || Number(name) === ownPid) continue;
    const before = reader.failures.length;
    const files = openFiles(reader, name);
    denied += reader.failures.splice(before).length;
    if (files.length === 0) continue;
    const holder = readHolder(reader, name);
    for (const file of files) {
      if ('cdev' in file) append(byCdev, file.cdev, holder);
      else append(byGroup, file.group, holder);
    }
  }
  if (denied > 0) {
    const what = `open files of ${denied} processes of other users`;
    reader.failures.push({ what, errno: 'EACCES', about: null });
  }
  return { byCdev, byGroup };
}

type VfioFile = { readonly cdev: string } | { readonly group: number };

function openFiles(reader: Reader, pid: string): readonly VfioFile[] {
  const found: VfioFile[] = [];
  for (const fd of reader.names(`/proc/${pid}/fd`, null) ?? []) {
    const target = reader.link(`/proc/${pid}/fd/${fd}`, null)?.replace(/ \(deleted\)$/, '');
    const cdev = /^\/dev\/vfio\/devices\/([^/]+)$/.exec(target ?? '')?.[1];
    const group = /^\/dev\/vfio\/([0-9]+)$/.exec(target ?? '')?.[1];
    if (cdev !== undefined) found.push({ cdev });
    else if (group !== undefined) found.push({ group: Number(group) });
  }
  return found;
}

function readHolder(reader: Reader, pid: string): Holder {
  const status = reader.text(`/proc/${pid}/status`, null) ?? '';
  const uid = /^Uid:\s+([0-9]+)/m.exec(status)?.[1];
  return {
    pid: Number(pid),
    comm: reader.text(`/proc/${pid}/comm`, null) ?? '?',
    uid: uid === undefined ? null : Number(uid),
  };
}

function append<K>(map: Map<K, Holder[]>, key: K, holder: Holder): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [holder]);
  else if (!list.some((each) => each.pid === holder.pid)) list.push(holder);
}
