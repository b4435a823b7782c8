/** Who may be handed a container: root, and whom its config names. Names come from the host's own databases. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ProcessFacts } from '../../kernel/process.ts';
import type { AccessSpec } from '../../spec/config.ts';

/** Names of users and groups. */
export interface Accounts {
  /** The name of a user or group; null for a number that has none. */
  nameOf(kind: 'user' | 'group', id: number): Promise<string | null>;
}

/** May the process have the container's files? */
export async function mayHave(
  { uid, gids }: Pick<ProcessFacts, 'uid' | 'gids'>,
  access: AccessSpec,
  accounts: Accounts,
): Promise<boolean> {
  if (uid === 0) return true;
  if (await isAmong([uid], access.users, (id) => accounts.nameOf('user', id))) return true;
  return isAmong(gids, access.groups, (id) => accounts.nameOf('group', id));
}

async function isAmong(
  ids: readonly number[],
  allowed: readonly string[],
  nameOf: (id: number) => Promise<string | null>,
): Promise<boolean> {
  if (allowed.length === 0) return false;
  for (const id of ids) {
    if (allowed.includes(String(id))) return true;
    const name = await nameOf(id);
    if (name !== null && allowed.includes(name)) return true;
  }
  return false;
}

const DATABASES = { user: 'passwd', group: 'group' } as const;
const LOOKUP_MS_MAX = 5000;

/** The host's databases by `getent`, which asks whatever the host is set up to ask. */
export const hostAccounts: Accounts = {
  async nameOf(kind, id) {
    try {
      const args = [DATABASES[kind], String(id)];
      const { stdout } = await promisify(execFile)('getent', args, { timeout: LOOKUP_MS_MAX });
      return stdout.split(':')[0] || null;
    } catch {
      // Exit code 2: there is none. Whatever else went wrong, nobody is let in by it.
      return null;
    }
  },
};
