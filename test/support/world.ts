/** Hosts and configs for tests: text in, the real code on a simulated host out. */
import { readFileSync } from 'node:fs';
import type { Clock, MonotonicMs } from '../../src/base/clock.ts';
import { compareText } from '../../src/base/ids.ts';
import { type Attempt, applyAttempt, planAttempt } from '../../src/engine/attempt.ts';
import type { ManagedHost } from '../../src/engine/host.ts';
import { MemoryJournal } from '../../src/engine/journal.ts';
import type { Graph } from '../../src/graph/types.ts';
import { Machine } from '../../src/kernel/sim/machine.ts';
import { DEFAULT_OPTIONS } from '../../src/plan/planner-options.ts';
import type { PlanOptions } from '../../src/plan/types.ts';
import { readSource } from '../../src/source/files.ts';
import type { Config } from '../../src/spec/config.ts';
import { formatIssues } from '../../src/spec/format.ts';
import { readConfig } from '../../src/spec/read-config.ts';
import { readHost } from '../../src/spec/read-host.ts';
import type { HostDocument } from '../../src/spec/types.generated.ts';

/** Time that passes only when somebody sleeps. */
export function testClock(): Clock {
  let now = 0;
  return {
    now: () => now as MonotonicMs,
    sleep: async (ms) => {
      now += ms;
    },
  };
}

/** A config from the text of one file. Throws with all issues. */
export function configOf(text: string, path = 'config.yaml'): Config {
  const { config, issues } = readConfig([{ path, bytes: new TextEncoder().encode(text) }]);
  if (config === null) throw new Error(formatIssues(issues));
  return config;
}

/** A config from a directory. */
export function configIn(path: string): Config {
  const source = readSource([path]);
  const { config, issues } = readConfig(source.files, source.issues);
  if (config === null) throw new Error(formatIssues(issues));
  return config;
}

/** A Host document from text. Throws with all issues. */
export function hostOf(text: string): HostDocument {
  const { host, issues } = readHost({ path: 'host.yaml', bytes: new TextEncoder().encode(text) });
  if (host === null) throw new Error(formatIssues(issues));
  return host;
}

/** A Host document from a file. */
export function hostIn(path: string): HostDocument {
  return hostOf(readFileSync(path, 'utf8'));
}

/** A simulated host under management. */
export class World {
  readonly machine: Machine;
  readonly host: ManagedHost & { readonly journal: MemoryJournal };

  constructor(document: HostDocument) {
    const clock = testClock();
    this.machine = new Machine(document, { clock });
    this.host = {
      syscalls: this.machine.syscalls,
      journal: new MemoryJournal(this.machine.held),
      known: this.machine.known,
      clock,
      hostName: document.metadata.name,
      ownPid: 0,
    };
  }

  plan(config: Config, options: Partial<PlanOptions> = {}): ReturnType<typeof planAttempt> {
    return planAttempt(this.host, config, { ...DEFAULT_OPTIONS, ...options });
  }

  apply(config: Config, options: Partial<PlanOptions> = {}): Promise<Attempt> {
    return applyAttempt(this.host, this.plan(config, options), config, { parallel: 8 });
  }
}

/**
 * What is there, whatever ids and the order of HWPTs: contexts, containers, and each HWPT as its
 * properties with its devices.
 */
export function shapeOf(graph: Graph): unknown {
  return [...graph.contexts.values()]
    .map((context) => ({
      name: context.name,
      bound: [...context.devices.values()].filter((d) => d.attachment === null).map((d) => d.key),
      containers: [...context.containers.values()]
        .map((container) => ({
          name: container.name,
          allow: container.allow.map(({ start, last }) => `${start}-${last}`),
          hugePages: container.hugePages,
          tables: [container.ioas, ...container.hwpts.keys()]
            .map((ref) => {
              const hwpt = container.hwpts.get(ref);
              const properties = hwpt
                ? `${hwpt.dirtyTracking} ${hwpt.nesting} ${hwpt.iommu}`
                : 'ioas';
              const on = [...context.devices.values()].filter((d) => d.attachment?.pt === ref);
              return `${properties}: ${on
                .map((d) => d.key)
                .sort(compareText)
                .join(' ')}`;
            })
            .sort(compareText),
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
