/** The verbs. A new one is a file and a line here. */
import type { Verb } from '../verb.ts';

/** A verb by name, loaded when it is used. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Verb>;
}

/** All verbs, in the order in which a newcomer meets them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'validate',
    summary: 'check the files of a config',
    load: async () => (await import('./validate.ts')).validate,
  },
  {
    name: 'plan',
    summary: 'show what would be done, and why',
    load: async () => (await import('./plan.ts')).plan,
  },
  {
    name: 'apply',
    summary: 'plan, apply and verify',
    load: async () => (await import('./apply.ts')).apply,
  },
  {
    name: 'graph',
    summary: 'show contexts, containers, page tables and devices',
    load: async () => (await import('./graph.ts')).graph,
  },
  {
    name: 'watch',
    summary: 'follow a config: apply every change until SIGTERM',
    load: async () => (await import('./watch.ts')).watch,
  },
  {
    name: 'exec',
    summary: 'become a command that has the open files of a container',
    load: async () => (await import('./exec.ts')).exec,
  },
  {
    name: 'status',
    summary: 'say what the daemon does and holds, and what is wrong',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'reconcile',
    summary: 'ask the daemon for an attempt now',
    load: async () => (await import('./reconcile.ts')).reconcile,
  },
  {
    name: 'suspend',
    summary: 'keep the daemon from applying anything',
    load: async () => (await import('./suspend.ts')).suspend,
  },
  {
    name: 'resume',
    summary: 'let it apply again',
    load: async () => (await import('./resume.ts')).resume,
  },
  {
    name: 'confirm',
    summary: 'say yes to what a guard holds back',
    load: async () => (await import('./confirm.ts')).confirm,
  },
  {
    name: 'history',
    summary: 'show the last attempts that did something',
    load: async () => (await import('./history.ts')).history,
  },
  {
    name: 'snapshot',
    summary: 'write this host as a Host file',
    load: async () => (await import('./snapshot.ts')).snapshot,
  },
  {
    name: 'doctor',
    summary: 'say what this kernel and host lack, and what to do',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'schema',
    summary: 'print a JSON schema',
    load: async () => (await import('./schema.ts')).schema,
  },
];
