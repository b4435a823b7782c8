/** Where consumers ask: beside the run directory, because theirs is open to everybody and the daemon's is not. */
import { runDirectory } from '../daemon/run-directory.ts';

/** The path: AUTODOMAIN_HANDOVER_SOCKET, or /run/autodomain-hand-over/socket beside the run directory. */
export function handOverSocket(env: Readonly<Record<string, string | undefined>>): string {
  return env['AUTODOMAIN_HANDOVER_SOCKET'] ?? `${runDirectory(env)}-hand-over/socket`;
}
