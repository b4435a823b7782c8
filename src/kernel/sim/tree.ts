/** A read-only file tree whose nodes are worked out when they are looked at, so that a large host costs nothing to make. */
import { SyscallError } from '../port.ts';

/** A node of the tree. */
export type TreeNode =
  | {
      readonly type: 'dir';
      /** The path that realpath(3) gives; null: where it was found. */
      readonly real?: string;
      /** Absent: 1, for a directory that is there for good. */
      readonly inode?: () => number;
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

/** The node at a path. `last`: is a link at the end followed. Throws ENOENT, ENOTDIR. */
export function lookup(root: TreeNode, path: string, last: 'follow' | 'keep'): TreeNode {
  return walk(root, path, last, () => undefined);
}

/** The path with every link resolved. Throws ENOENT, ENOTDIR. */
export function realPath(root: TreeNode, path: string): string {
  let real = '';
  walk(root, path, 'follow', (part, node) => {
    real = (node.type === 'dir' ? node.real : undefined) ?? `${real}/${part}`;
  });
  return real === '' ? '/' : real;
}

function walk(
  root: TreeNode,
  path: string,
  last: 'follow' | 'keep',
  onNode: (part: string, node: TreeNode) => void,
): TreeNode {
  let node = root;
  for (let start = 1, end = 0; start < path.length; start = end + 1) {
    end = path.indexOf('/', start);
    const isLast = end === -1;
    if (isLast) end = path.length;
    const part = path.slice(start, end);
    if (node.type !== 'dir') throw new SyscallError('open', 'ENOTDIR', path);
    const next: TreeNode = node.child(part) ?? missing(path);
    node = next.type === 'link' && !(isLast && last === 'keep') ? follow(next, path) : next;
    onNode(part, node);
  }
  return node;
}

function follow(node: Extract<TreeNode, { type: 'link' }>, path: string): TreeNode {
  return node.to() ?? missing(path);
}

function missing(path: string): never {
  throw new SyscallError('open', 'ENOENT', path);
}
