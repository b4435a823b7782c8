/** What /proc says of one process: enough to know it again, and to know what it may ask for. */

import type { Syscalls } from './port.ts';
import { Reader } from './reader.ts';

/** A process. Two with the same pid and the same start are one. */
export interface ProcessFacts {
  readonly pid: number;
  /** Clock ticks since boot, as text: field 22 of /proc/PID/stat. */
  readonly start: string;
  readonly comm: string;
  readonly uid: number;
  /** The effective group and the supplementary ones. */
  readonly gids: readonly number[];
}

/** Reads a process; null for one that is gone, or that this user may not look at. */
export function readProcess(syscalls: Syscalls, pid: number): ProcessFacts | null {
  const reader = new Reader(syscalls);
  const stat = reader.text(`/proc/${pid}/stat`, null);
  const status = reader.text(`/proc/${pid}/status`, null);
  const comm = reader.text(`/proc/${pid}/comm`, null);
  if (stat === null || status === null || comm === null) return null;
  // The name in field 2 may hold anything, so it is cut off first.
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  // Real, effective, saved, of the file system.
  const uid = numbersOf(status, 'Uid')[1];
  const gid = numbersOf(status, 'Gid')[1];
  if (start === undefined || uid === undefined || gid === undefined) return null;
  return { pid, start, comm, uid, gids: [gid, ...numbersOf(status, 'Groups')] };
}

function numbersOf(status: string, field: string): readonly number[] {
  const line = new RegExp(`^${field}:(.*)$`, 'm').exec(status)?.[1] ?? '';
  return line.trim().split(/\s+/).filter(Boolean).map(Number);
}
