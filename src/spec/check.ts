/** What only shows between containers: a name or a device that two of them claim. Both places are named. */
import type { DeviceKey } from '../base/ids.ts';
import type { ContainerSpec, Place } from './config.ts';
import { matchesHost } from './hosts.ts';
import type { SpecIssue } from './issues.ts';

/** Makes an issue at a place; the caller knows the files. */
export type IssueMaker = (
  place: Place,
  text: Pick<SpecIssue, 'rule' | 'message' | 'remedy'> & { readonly related: SpecIssue['related'] },
) => SpecIssue;

/** The conflicts between the containers of a config. */
export function checkContainers(
  containers: readonly ContainerSpec[],
  issue: IssueMaker,
): readonly SpecIssue[] {
  return [
    ...nameConflicts(containers, issue),
    ...deviceConflicts(containers, issue),
    ...renameConflicts(containers, issue),
    ...accessConflicts(containers, issue),
  ];
}

function nameConflicts(containers: readonly ContainerSpec[], issue: IssueMaker): SpecIssue[] {
  const first = new Map<string, ContainerSpec>();
  const issues: SpecIssue[] = [];
  for (const container of containers) {
    const other = first.get(container.name);
    if (other === undefined) first.set(container.name, container);
    else {
      issues.push(
        issue(container.place, {
          rule: 'AD3001',
          message: `container \`${container.name}\` is there twice`,
          remedy: 'give one of them another name',
          related: { ...other.place, message: 'the other one is here' },
        }),
      );
    }
  }
  return issues;
}

function deviceConflicts(containers: readonly ContainerSpec[], issue: IssueMaker): SpecIssue[] {
  const claims = new Map<DeviceKey, { container: ContainerSpec; place: Place }[]>();
  const issues: SpecIssue[] = [];
  for (const container of containers) {
    if (container.state === 'absent') continue;
    for (const claim of container.claims) {
      if (claim.kind === 'select') continue;
      const key = claim.kind === 'pci' ? claim.pci : claim.mdev;
      const others = claims.get(key) ?? [];
      const other = others.find((each) => mayMeet(each.container, container));
      if (other) issues.push(claimedTwice(key, claim.place, other, issue));
      claims.set(key, [...others, { container, place: claim.place }]);
    }
  }
  return issues;
}

function claimedTwice(
  key: DeviceKey,
  place: Place,
  other: { readonly container: ContainerSpec; readonly place: Place },
  issue: IssueMaker,
): SpecIssue {
  return issue(place, {
    rule: 'AD3002',
    message: `${key} is claimed twice`,
    remedy: 'a device belongs to one container: remove one of the two, or limit them by `hosts`',
    related: { ...other.place, message: `also claimed by \`${other.container.name}\` here` },
  });
}

/** False only where both name their hosts and no name of one matches the other. Two patterns may always meet. */
function mayMeet(a: ContainerSpec, b: ContainerSpec): boolean {
  if (a.hosts === null || b.hosts === null) return true;
  const theirs = b.hosts;
  return a.hosts.some((mine) =>
    theirs.some((other) => {
      if (mine.includes('*') && other.includes('*')) return true;
      return matchesHost(mine, other) || matchesHost(other, mine);
    }),
  );
}

function renameConflicts(containers: readonly ContainerSpec[], issue: IssueMaker): SpecIssue[] {
  const names = new Map(containers.map((container) => [container.name, container]));
  const claimed = new Map<string, ContainerSpec>();
  const issues: SpecIssue[] = [];
  for (const container of containers) {
    for (const from of container.formerly) {
      const living = names.get(from);
      const rival = claimed.get(from);
      const other = living ?? rival;
      claimed.set(from, container);
      if (other === undefined) continue;
      issues.push(
        issue(container.place, {
          rule: 'AD3004',
          message: living
            ? `\`formerly: ${from}\` names a container that is still there`
            : `\`${from}\` was renamed twice`,
          remedy: 'a name can only be taken over by one container, once the old one is gone',
          related: { ...other.place, message: living ? 'it is here' : 'the other rename is here' },
        }),
      );
    }
  }
  return issues;
}

/** A consumer is handed a context whole: whoever may have one container of it has them all. */
function accessConflicts(containers: readonly ContainerSpec[], issue: IssueMaker): SpecIssue[] {
  const first = new Map<string, ContainerSpec[]>();
  const issues: SpecIssue[] = [];
  for (const container of containers) {
    if (container.state === 'absent') continue;
    const others = first.get(container.context) ?? [];
    const other = others.find(
      (each) => accessKey(each) !== accessKey(container) && mayMeet(each, container),
    );
    first.set(container.context, [...others, container]);
    if (other === undefined) continue;
    issues.push(
      issue(container.place, {
        rule: 'AD3007',
        message: `containers of the context \`${container.context}\` have different \`access\``,
        remedy: 'give them the same `access`, because a context is handed over whole',
        related: { ...other.place, message: `\`${other.name}\` is here` },
      }),
    );
  }
  return issues;
}

function accessKey({ access }: ContainerSpec): string {
  return JSON.stringify([access.users, access.groups]);
}
