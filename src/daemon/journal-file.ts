/**
 * The journal's file: `journal` in the run directory, 0600. Its first line says how long it is, so that a file
 * that was cut is known for what it is, and not taken for an earlier state of affairs. Not here: what the lines
 * mean (engine/journal-log.ts), and when a journal is believed (durable.ts).
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { JournalFile } from '../engine/durable-journal.ts';
import { decodeLog, type JournalRead } from '../engine/journal-log.ts';

const HEADER = /^autodomain-journal ([0-9]{12})\n/;
const HEADER_BYTES = headerOf(0).length;

/** Where the journal of a run directory is. */
export function journalPath(runDir: string): string {
  return join(runDir, 'journal');
}

/** Reads the journal of a run directory. Throws what the file system says, but for a file that is not there. */
export function readJournalFile(path: string): JournalRead {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { result: 'empty' };
    throw error;
  }
  const header = HEADER.exec(bytes.toString('latin1', 0, HEADER_BYTES));
  if (header === null) return { result: 'refused', reason: 'it is not a journal of autodomain' };
  // A line that was being written when the process died stands beyond the length.
  const length = Number(header[1]);
  if (bytes.length < length) {
    const reason = `${bytes.length} bytes of ${length} are left of it`;
    return { result: 'refused', reason };
  }
  const log = decodeLog(bytes.toString('utf8', HEADER_BYTES));
  if (log.result !== 'empty') return log;
  return { result: 'refused', reason: 'it is empty' };
}

/** A journal on disk. Both calls are on it when they return. Throws what the file system says. */
export class JournalOnDisk implements JournalFile {
  readonly #path: string;
  #fd: number | null = null;
  #length = 0;

  constructor(path: string) {
    this.#path = path;
  }

  append(text: string): void {
    if (this.#fd === null) throw new Error('a journal begins with a whole state');
    const bytes = Buffer.from(text);
    writeAll(this.#fd, bytes, this.#length);
    this.#length += bytes.length;
    writeAll(this.#fd, headerOf(this.#length), 0);
    fdatasyncSync(this.#fd);
  }

  replace(text: string): void {
    const bytes = Buffer.from(text);
    const length = HEADER_BYTES + bytes.length;
    const next = `${this.#path}.next`;
    const fd = openSync(next, WRITE_ANEW, 0o600);
    try {
      writeAll(fd, Buffer.concat([headerOf(length), bytes]), 0);
      fsyncSync(fd);
      renameSync(next, this.#path);
      syncDirectory(dirname(this.#path));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = fd;
    this.#length = length;
  }
}

/** Puts a journal that is of no use out of the way, where a person finds it. Returns its new path. */
export function setAside(path: string): string {
  const aside = `${path}.unusable`;
  renameSync(path, aside);
  return aside;
}

const WRITE_ANEW = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

function headerOf(length: number): Buffer {
  return Buffer.from(`autodomain-journal ${String(length).padStart(12, '0')}\n`);
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
