/** Conditions of a subject (the daemon, a container): written when they change, with the time of the last change. */
import type { Condition, ConditionType } from './control.ts';

/** What is said of a subject now; the rest of a condition follows from when it was said first. */
export type Finding = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The conditions of all subjects, by name. The daemon itself has the empty name, which no container has. */
export class Conditions {
  readonly #subjects = new Map<string, readonly Condition[]>();

  /** Takes over what is found now. A change of status is a transition; a change of words alone is not. */
  update(
    subject: string,
    findings: readonly Finding[],
    at: { readonly time: string; readonly digest: string | null },
  ): void {
    const before = new Map(this.of(subject).map((condition) => [condition.type, condition]));
    const now = findings.map((finding): Condition => {
      const old = before.get(finding.type);
      const since = old?.status === finding.status ? old.lastTransitionTime : at.time;
      return { ...finding, lastTransitionTime: since, observedDigest: at.digest };
    });
    this.#subjects.set(subject, now);
  }

  /** The conditions of a subject; empty for one that nobody spoke of. */
  of(subject: string): readonly Condition[] {
    return this.#subjects.get(subject) ?? [];
  }

  /** Is a condition of the subject true? */
  isTrue(subject: string, type: ConditionType): boolean {
    return this.of(subject).some((each) => each.type === type && each.status === 'True');
  }

  /** Forgets subjects that are no more. */
  keepOnly(subjects: ReadonlySet<string>): void {
    for (const name of this.#subjects.keys()) if (!subjects.has(name)) this.#subjects.delete(name);
  }
}

/** A finding that holds or not. */
export function finding(
  type: ConditionType,
  holds: boolean,
  reason: string,
  message = '',
): Finding {
  return { type, status: holds ? 'True' : 'False', reason, message };
}
