/** A document that has its shape becomes a total ContainerSpec: defaults applied, texts parsed, places kept. */
import { type Bdf, compareText, type MdevUuid } from '../base/ids.ts';
import { compareRanges, type IovaRange, rangesOverlap } from '../base/iova.ts';
import type { Claim, ContainerSpec, Selector } from './config.ts';
import type { Path, SpecDocument } from './document.ts';
import type { SpecIssue } from './issues.ts';
import type {
  ClaimDocument,
  ContainerDocument,
  DirtyTrackingDocument,
  IovaRangeText,
  SelectorDocument,
} from './types.generated.ts';

/** The container that a document means, and what is wrong with it beyond its shape. */
export function resolveContainer(document: SpecDocument): {
  readonly container: ContainerSpec;
  readonly issues: readonly SpecIssue[];
} {
  const { metadata, spec } = document.value as ContainerDocument;
  const issues: SpecIssue[] = [];
  const claims = (spec.devices ?? []).flatMap((claim, index) =>
    resolveClaim(document, claim, ['spec', 'devices', index], issues),
  );
  const { groupMates, deletion, state, nesting } = { ...DEFAULTS, ...spec };
  const container: ContainerSpec = {
    name: metadata.name,
    place: document.placeOf(['metadata', 'name']),
    labels: metadata.labels ?? {},
    hosts: spec.hosts ?? null,
    context: spec.iommufd ?? metadata.name,
    access: { users: sortedSet(spec.access?.users), groups: sortedSet(spec.access?.groups) },
    dirtyTracking: resolveTracking(document, spec.dirtyTracking ?? {}, issues),
    nesting,
    iova: {
      allow: resolveRanges(document, spec.iova?.allow ?? [], issues),
      hugePages: spec.iova?.hugePages ?? true,
    },
    claims,
    driver: { ...DEFAULT_DRIVER, ...spec.driver },
    groupMates,
    deletion,
    formerly: spec.formerly ?? [],
    state,
  };
  return { container, issues };
}

function sortedSet(texts: readonly string[] = []): readonly string[] {
  return [...new Set(texts)].sort(compareText);
}

const DEFAULTS = {
  groupMates: 'block',
  deletion: 'allow',
  state: 'present',
  nesting: false,
} as const;

const DEFAULT_DRIVER = { name: 'vfio-pci', take: 'unbound' } as const;

function resolveTracking(
  document: SpecDocument,
  { mode = 'none', by = 'iommu', active = false }: DirtyTrackingDocument,
  issues: SpecIssue[],
): ContainerSpec['dirtyTracking'] {
  if (active && mode === 'none') issues.push(nothingToTrack(document));
  return { mode, by, active, place: document.placeOf(['spec', 'dirtyTracking']) };
}

function nothingToTrack(document: SpecDocument): SpecIssue {
  return document.issue(['spec', 'dirtyTracking', 'active'], {
    rule: 'AD3006',
    message: '`active` is true and `mode` is none: there is nothing that could track',
    remedy: 'set `mode: required` or `mode: preferred`, or leave `active` out',
  });
}

function resolveClaim(
  document: SpecDocument,
  claim: ClaimDocument,
  path: Path,
  issues: SpecIssue[],
): readonly Claim[] {
  const place = document.placeOf(path);
  const { pci, mdev, select, count } = claim;
  const kinds = [pci, mdev, select].filter((each) => each !== undefined).length;
  if (kinds !== 1 || (count !== undefined && select === undefined)) {
    issues.push(
      document.issue(path, {
        rule: 'AD3003',
        message:
          kinds === 1
            ? '`count` is only for `select`'
            : 'an entry is one of `pci`, `mdev` and `select`',
        remedy: kinds === 1 ? 'remove `count`' : 'write one entry for each device or selector',
      }),
    );
    return [];
  }
  if (pci !== undefined) return [{ kind: 'pci', pci: pci as Bdf, place }];
  if (mdev !== undefined) return [{ kind: 'mdev', mdev: mdev as MdevUuid, place }];
  if (select === undefined) return [];
  const selector = resolveSelector(document, select, [...path, 'select'], issues);
  return [{ kind: 'select', select: selector, count: count ?? 1, place }];
}

function resolveSelector(
  document: SpecDocument,
  select: SelectorDocument,
  path: Path,
  issues: SpecIssue[],
): Selector {
  const { vf, pf, ...rest } = select;
  const [first = 0, last = first] = (vf ?? '').split('-').map(Number);
  if (vf !== undefined && first > last) {
    issues.push(
      document.issue([...path, 'vf'], {
        rule: 'AD3005',
        message: `\`vf\` "${vf}" is an empty range`,
        remedy: `write "${last}-${first}"`,
      }),
    );
  }
  return {
    ...rest,
    ...(pf === undefined ? {} : { pf: pf as Bdf }),
    ...(vf === undefined ? {} : { vf: { first, last } }),
  };
}

/** The kernel refuses a range of one address and ranges that overlap, so both are said here. */
function resolveRanges(
  document: SpecDocument,
  texts: readonly IovaRangeText[],
  issues: SpecIssue[],
): readonly IovaRange[] {
  const ranges = texts.map((text, index) => {
    const range = { start: BigInt(text.start), last: BigInt(text.last) };
    return { range, path: ['spec', 'iova', 'allow', index] };
  });
  ranges.sort((a, b) => compareRanges(a.range, b.range));
  ranges.forEach(({ range, path }, index) => {
    const before = ranges[index - 1]?.range;
    if (range.start >= range.last) {
      issues.push(
        document.issue(path, {
          rule: 'AD3005',
          message: '`start` is not less than `last`',
          remedy: 'write the first and the last address of the range; both belong to it',
        }),
      );
    } else if (before && rangesOverlap(before, range)) {
      issues.push(
        document.issue(path, {
          rule: 'AD3005',
          message: 'the range overlaps another',
          remedy: 'join the two ranges',
        }),
      );
    }
  });
  return ranges.map(({ range }) => range);
}
