/**
 * Are files what git's index says? After a checkout the index is renamed into place last, so a set of
 * files that agrees with it was written as a whole (or staged by a person). Whatever this reader does
 * not know makes the answer no, which costs time, never safety.
 * Source: Documentation/gitformat-index.txt (git v2.39), versions 2 to 4.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { WorkTree } from './git.ts';

/** A file as it was read: its real path and its bytes. */
export interface ReadFile {
  readonly real: string;
  readonly bytes: Uint8Array;
}

const INDEX_BYTES_MAX = 8 << 20;

/** Do exactly these files, below the directory `real` (or the file itself), stand in the index with these contents? `belongs`: would a scan take a name below `real`? */
export function agreesWithIndex(
  tree: WorkTree,
  real: string,
  files: readonly ReadFile[],
  belongs: (name: string) => boolean,
): boolean {
  const entries = readIndex(join(tree.gitDir, 'index'));
  if (entries === null) return false;
  const below = relative(tree.root, real);
  const prefix = below === '' ? '' : below + sep;
  const wanted = [...entries.keys()].filter(
    (path) => path === below || (path.startsWith(prefix) && belongs(path.slice(prefix.length))),
  );
  const found = new Map(files.map((file) => [relative(tree.root, file.real), file.bytes]));
  return (
    wanted.every((path) => found.has(path)) &&
    [...found].every(([path, bytes]) => isBlob(bytes, entries.get(path)))
  );
}

/** Git names a file by a hash over its length and content. Smudge filters make it differ: the answer is no then. */
function isBlob(bytes: Uint8Array, id: string | undefined): boolean {
  if (id === undefined) return false;
  const algorithm = id.length === 40 ? 'sha1' : 'sha256';
  const hash = createHash(algorithm).update(`blob ${bytes.length}\0`).update(bytes);
  return hash.digest('hex') === id;
}

/** Object names by path; null where the index cannot be read, or has something that this does not know. */
function readIndex(file: string): ReadonlyMap<string, string> | null {
  try {
    if (statSync(file).size > INDEX_BYTES_MAX) return null;
    const bytes = readFileSync(file);
    return parseIndex(bytes, 20) ?? parseIndex(bytes, 32);
  } catch {
    return null;
  }
}

const HEADER_BYTES = 12;
const STAT_BYTES = 40;
const EXTENDED = 0x4000;
const STAGE = 0x3000;

function parseIndex(bytes: Buffer, hashBytes: 20 | 32): ReadonlyMap<string, string> | null {
  const version = bytes.readUInt32BE(4);
  if (bytes.toString('latin1', 0, 4) !== 'DIRC' || version < 2 || version > 4) return null;
  if (!isIntact(bytes, hashBytes)) return null;
  const entries = new Map<string, string>();
  let at = HEADER_BYTES;
  let path = '';
  for (let left = bytes.readUInt32BE(8); left > 0; left -= 1) {
    const start = at;
    const id = bytes.toString('hex', start + STAT_BYTES, start + STAT_BYTES + hashBytes);
    const flags = bytes.readUInt16BE(start + STAT_BYTES + hashBytes);
    // A merge under way has the same path several times.
    if ((flags & STAGE) !== 0) return null;
    at = start + STAT_BYTES + hashBytes + ((flags & EXTENDED) === 0 ? 2 : 4);
    if (version === 4) {
      const strip = readVariable(bytes, at);
      const stop = bytes.indexOf(0, strip.next);
      path = path.slice(0, path.length - strip.value) + bytes.toString('latin1', strip.next, stop);
      at = stop + 1;
    } else {
      const stop = bytes.indexOf(0, at);
      path = bytes.toString('latin1', at, stop);
      at = start + (((stop - start) >> 3) + 1) * 8;
    }
    entries.set(fromLatin1(path), id);
  }
  return hasRequiredExtension(bytes, at, bytes.length - hashBytes) ? null : entries;
}

/** The file ends with a hash over what comes before; zeros where a person switched that off. */
function isIntact(bytes: Buffer, hashBytes: 20 | 32): boolean {
  const body = bytes.subarray(0, bytes.length - hashBytes);
  const sum = bytes.subarray(bytes.length - hashBytes);
  const algorithm = hashBytes === 20 ? 'sha1' : 'sha256';
  return createHash(algorithm).update(body).digest().equals(sum);
}

/** Extensions whose name begins with a small letter change what the entries mean (split and sparse indexes). */
function hasRequiredExtension(bytes: Buffer, from: number, stop: number): boolean {
  for (let at = from; at + 8 <= stop; at += 8 + bytes.readUInt32BE(at + 4)) {
    const first = bytes[at] ?? 0;
    if (first < 0x41 || first > 0x5a) return true;
  }
  return false;
}

/** The variable-length number of git's pack format, as the path compression of version 4 uses it. */
function readVariable(
  bytes: Buffer,
  from: number,
): { readonly value: number; readonly next: number } {
  let at = from;
  let byte = bytes.readUInt8(at);
  let value = byte & 0x7f;
  while ((byte & 0x80) !== 0) {
    at += 1;
    byte = bytes.readUInt8(at);
    value = ((value + 1) << 7) | (byte & 0x7f);
  }
  return { value, next: at + 1 };
}

/** Prefixes are counted in bytes, so paths are kept byte for byte until they are whole. */
function fromLatin1(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
