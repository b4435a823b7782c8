/** Which containers of a config are for a host. */
import type { Config, ContainerSpec } from './config.ts';

/** The containers whose `hosts` patterns match the host, in the config's order. */
export function containersFor(config: Config, host: string): readonly ContainerSpec[] {
  return config.containers.filter((container) => isFor(container, host));
}

/** True where one of the patterns matches the whole host name; `*` stands for any run of characters. */
export function matchesHost(pattern: string, host: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return pattern === host;
  if (!host.startsWith(first)) return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const at = host.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  const last = parts.at(-1) ?? '';
  return host.length - last.length >= from && host.endsWith(last);
}

function isFor(container: ContainerSpec, host: string): boolean {
  return container.hosts === null || container.hosts.some((pattern) => matchesHost(pattern, host));
}
