/**
 * The socket's file: who can reach it is decided here, by its directory, its mode and its group. Not
 * here: what a peer may do once it is connected.
 */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  type Stats,
} from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { AutodomainError } from '../../base/errors.ts';

/** Where the socket is, and who may connect. */
export interface SocketPlace {
  readonly path: string;
  /** The group that may connect beside root; null: root (or the daemon's user) alone. */
  readonly gid: number | null;
  /** `everybody`: any user may connect, and is told apart afterwards. Default: root and the group. */
  readonly reach?: 'everybody';
  /** True where the caller holds the lock of the host: a socket that is there is then left over. */
  readonly lockHeld: boolean;
}

/** sun_path has 108 bytes, with the zero at its end. Source: include/uapi/linux/un.h. */
const PATH_BYTES_MAX = 107;
const SOCKET_MODE = 0o660;
const PUBLIC_SOCKET_MODE = 0o666;
const DIRECTORY_MODE = 0o750;
const PUBLIC_DIRECTORY_MODE = 0o755;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Makes the server listen. Throws `daemon-config` (78) for a place that others could write to or that
 * is something else, `locked` (75) where somebody may be listening, `no-permission` (77) without the right.
 */
export async function listenAt(server: Server, place: SocketPlace): Promise<void> {
  const { path, gid } = place;
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw refused(path, `its path is longer than ${PATH_BYTES_MAX} bytes`, 'choose a shorter one');
  }
  try {
    prepareDirectory(dirname(path), place);
    clearTheWay(place);
    await bind(server, path);
    if (gid !== null) chownSync(path, -1, gid);
    chmodSync(path, place.reach === 'everybody' ? PUBLIC_SOCKET_MODE : SOCKET_MODE);
  } catch (error) {
    server.close();
    throw explained(path, error);
  }
}

/** The id of a group of /etc/group, or a number as it is. Throws `daemon-config` (78) for one that is not there. */
export function gidOfGroup(name: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const gid = Number(line?.split(':')[2]);
  if (line !== undefined && Number.isSafeInteger(gid)) return gid;
  throw new AutodomainError('daemon-config', `there is no group '${name}' in /etc/group`, {
    remedy: 'make it (systemd-sysusers), or name another one for the socket',
  });
}

function prepareDirectory(directory: string, { gid, reach }: SocketPlace): void {
  const mode = reach === 'everybody' ? PUBLIC_DIRECTORY_MODE : DIRECTORY_MODE;
  // The umask of a service takes bits away that everybody needs.
  if (mkdirSync(directory, { recursive: true, mode }) !== undefined) chmodSync(directory, mode);
  const stat = lstatSync(directory);
  if (!stat.isDirectory()) {
    throw refused(directory, 'it is not a directory', 'choose a directory of root alone');
  }
  if (stat.uid !== 0 && stat.uid !== process.getuid?.()) {
    throw refused(directory, `uid ${stat.uid} owns it`, `chown root ${directory}`);
  }
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) {
    const mode = (stat.mode & 0o7777).toString(8);
    throw refused(
      directory,
      `others can write to it (mode ${mode}), so they could put their own socket in its place`,
      `chmod go-w ${directory}`,
    );
  }
  // Without the right to pass through the directory, the socket's group could not reach the socket.
  if (gid !== null && stat.gid !== gid && stat.uid === process.getuid?.()) {
    chownSync(directory, -1, gid);
  }
}

function clearTheWay({ path, lockHeld }: SocketPlace): void {
  const stat = statOf(path);
  if (stat === null) return;
  if (!stat.isSocket()) throw refused(path, 'a file that is no socket is there', `rm ${path}`);
  if (!lockHeld) {
    throw new AutodomainError('locked', `${path} is there already`, {
      remedy: 'another daemon may be listening on it: stop that one, or choose another --socket',
    });
  }
  rmSync(path);
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Binds with a mode that lets nobody in before group and mode are set; bind(2) is made before listen returns. */
async function bind(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
      process.umask(before);
    });
  } finally {
    process.umask(before);
  }
}

function refused(what: string, cause: string, remedy: string): AutodomainError {
  return new AutodomainError('daemon-config', `no control socket at ${what}: ${cause}`, { remedy });
}

function explained(path: string, error: unknown): unknown {
  if (error instanceof AutodomainError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') {
    return new AutodomainError('locked', `${path} is in use`, {
      remedy: 'another daemon listens on it: stop that one first',
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new AutodomainError('no-permission', `no control socket can be made at ${path}`, {
      cause: error,
      remedy: 'run as root, or set AUTODOMAIN_RUN_DIR to a directory of this user',
    });
  }
  return new AutodomainError('io', `no control socket can be made at ${path}`, { cause: error });
}
