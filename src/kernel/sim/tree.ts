/** A read-only file tree whose nodes are worked out when they are looked at, so that a large host costs nothing to make. */
import { SyscallError } from '../port.ts';

/** A node of the tree. */
export type TreeNode =
  | {
      readonly type: 'dir';
      /** The path that realpath(3) gives; null: where it was found. */
      readonly real?: string;
      names(): readonly string[];
      child(name: string): TreeNode | null;
    }
  | {
      readonly type: 'file';
      read(): string;
      /** Takes a write; absent: read-only. Throws SyscallError. */
      write?(text: string): void | Promise<void>;
      /** `major:minor` of a device node. */
      readonly rdev?: string;
    }
  /** A link: `target` is its text, `to` what it leads to. */
  | { readonly type: 'link'; readonly target: string; to(): TreeNode | null };

/** A directory of known entries. An entry that is null is not there. */
export function dir(
  entries: Readonly<Record<string, TreeNode | (() => TreeNode) | null>>,
  real?: string,
): TreeNode {
  return {
    type: 'dir',
    ...(real === undefined ? {} : { real }),
    names: () => Object.keys(entries).filter((name) => entries[name] !== null),
    child(name) {
      const entry = Object.hasOwn(entries, name) ? entries[name] : null;
      return typeof entry === 'function' ? entry() : (entry ?? null);
    },
  };
}

/** A directory whose entries are computed. */
export function computedDir(
  names: () => readonly string[],
  child: (name: string) => TreeNode | null,
): TreeNode {
  return { type: 'dir', names, child };
}

/** A file with a text that is worked out when it is read. */
export function file(read: () => string): TreeNode {
  return { type: 'file', read };
}

/** A link; a path through it goes on at `to`. */
export function link(target: string, to: () => TreeNode | null = () => null): TreeNode {
  return { type: 'link', target, to };
}

/** The node at a path, and the real path of it. `last`: is a link at the end followed. Throws ENOENT, ENOTDIR. */
export function lookup(
  root: TreeNode,
  path: string,
  last: 'follow' | 'keep',
): { readonly node: TreeNode; readonly real: string } {
  const parts = path.split('/').filter((part) => part !== '');
  let node = root;
  let real = '';
  for (const [index, part] of parts.entries()) {
    if (node.type !== 'dir') throw new SyscallError('open', 'ENOTDIR', path);
    const next: TreeNode = node.child(part) ?? missing(path);
    real = `${real}/${part}`;
    const isLast = index === parts.length - 1;
    node = next.type === 'link' && !(isLast && last === 'keep') ? follow(next, path) : next;
    if (node.type === 'dir' && node.real !== undefined) real = node.real;
  }
  return { node, real: real === '' ? '/' : real };
}

function follow(node: Extract<TreeNode, { type: 'link' }>, path: string): TreeNode {
  return node.to() ?? missing(path);
}

function missing(path: string): never {
  throw new SyscallError('open', 'ENOENT', path);
}
