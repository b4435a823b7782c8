/**
 * What is said on the hand-over socket: one JSON line each way, the answer with the files by SCM_RIGHTS
 * on the same message. docs/hand-over.md describes it for whoever writes a consumer.
 */
import { isBdf } from '../../base/ids.ts';
import type { HeldContext } from '../../graph/types.ts';

/** The longest line, in bytes. */
export const LINE_BYTES_MAX = 4096;

/** The version of the protocol: a newer major is refused. */
const FORMAT = '1.0';

/** What a consumer asks for. */
export interface HandOverRequest {
  readonly formatVersion: string;
  readonly kind: 'HandOverRequest';
  readonly container: string;
}

/** A device of the container. */
export interface HandedDevice {
  readonly pci?: string;
  readonly mdev?: string;
  /** In an answer: the index of its file in the message. In what a program gets from `exec`: the file's number. */
  readonly fd: number;
  /** Id of its DEVICE (of an mdev: ACCESS) object in the context. */
  readonly devId: number;
  /** Id of the HWPT (of an mdev: the IOAS) that it is attached to; null: it is not. */
  readonly pt: number | null;
}

/** What a consumer has got. */
export interface HandOver {
  readonly formatVersion: string;
  readonly kind: 'HandOver';
  readonly host: string;
  readonly container: string;
  /** The iommufd context that the container is in; the consumer has all of it. */
  readonly context: string;
  /** Like `fd` of a device. */
  readonly iommufd: number;
  /** Id of the container's IOAS: map memory into it. */
  readonly ioas: number;
  readonly hwpts: readonly { readonly id: number; readonly dirtyTracking: string }[];
  readonly devices: readonly HandedDevice[];
}

/** Why there is nothing to get. */
export interface Refusal {
  readonly formatVersion: string;
  readonly kind: 'Refusal';
  /** A stable word. */
  readonly reason:
    | 'malformed'
    | 'no-such-container'
    | 'not-allowed'
    | 'not-ready'
    | 'too-many-files'
    | 'failed';
  readonly message: string;
  readonly remedy: string;
}

/** Asks a consumer that has the files to let a device go: somebody removes it from the host. */
export interface ReleaseRequest {
  readonly formatVersion: string;
  readonly kind: 'ReleaseRequest';
  readonly device: { readonly pci?: string; readonly mdev?: string };
}

/** Makes a refusal. */
export function refusal(reason: Refusal['reason'], message: string, remedy: string): Refusal {
  return { formatVersion: FORMAT, kind: 'Refusal', reason, message, remedy };
}

/** Makes a request to let a device go. */
export function releaseRequest(key: string): ReleaseRequest {
  return { formatVersion: FORMAT, kind: 'ReleaseRequest', device: nameOf(key) };
}

/** Makes a request for a container. */
export function handOverRequest(container: string): HandOverRequest {
  return { formatVersion: FORMAT, kind: 'HandOverRequest', container };
}

/** The request in a line; null for anything else. */
export function readRequest(line: string): HandOverRequest | null {
  try {
    const { formatVersion, kind, container } = JSON.parse(line) as Partial<HandOverRequest>;
    if (kind !== 'HandOverRequest' || typeof container !== 'string') return null;
    if (typeof formatVersion !== 'string' || !formatVersion.startsWith('1.')) return null;
    return { formatVersion, kind, container };
  } catch {
    return null;
  }
}

/** The answer in a line; null for anything else. */
export function readAnswer(line: string): HandOver | Refusal | null {
  try {
    const answer = JSON.parse(line) as HandOver | Refusal;
    return answer.kind === 'HandOver' || answer.kind === 'Refusal' ? answer : null;
  } catch {
    return null;
  }
}

/** Describes a container, with the files that belong to the description in the order of their indices. */
export function describe(
  host: string,
  context: HeldContext,
  name: string,
): { readonly answer: HandOver; readonly fds: readonly number[] } | null {
  const container = context.containers.find((each) => each.name === name);
  if (container === undefined) return null;
  const tables = new Set<number>([container.ioas, ...container.hwpts.map(({ id }) => id)]);
  const own = context.devices.filter(({ pt }) => pt !== null && tables.has(pt));
  const answer: HandOver = {
    formatVersion: FORMAT,
    kind: 'HandOver',
    host,
    container: name,
    context: context.name,
    iommufd: 0,
    ioas: container.ioas,
    hwpts: container.hwpts.map(({ id, dirtyTracking }) => ({ id, dirtyTracking })),
    devices: own.map(({ key, devId, pt }, index) => ({
      ...nameOf(key),
      fd: index + 1,
      devId,
      pt,
    })),
  };
  return { answer, fds: [context.fd, ...own.map(({ fd }) => fd)] };
}

function nameOf(key: string): { readonly pci: string } | { readonly mdev: string } {
  return isBdf(key) ? { pci: key } : { mdev: key };
}

/** The description with the numbers that the files have in a process, instead of their indices. */
export function withNumbers(answer: HandOver, fds: readonly number[]): HandOver {
  const numberOf = (index: number): number => {
    const fd = fds[index];
    if (fd === undefined) throw new RangeError(`the answer names file ${index} of ${fds.length}`);
    return fd;
  };
  return {
    ...answer,
    iommufd: numberOf(answer.iommufd),
    devices: answer.devices.map((device) => ({ ...device, fd: numberOf(device.fd) })),
  };
}
