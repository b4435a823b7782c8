/** No errno of the ioctl tables is without a place: it is provoked on simulator and kernel, or modelled with its source. */
import { describe, expect, it } from 'vitest';
import { ALL_OPS } from '../../src/kernel/uapi/index.ts';
import type { IoctlOp } from '../../src/kernel/uapi/op.ts';
import { COVERAGE, type Coverage, MODELLED_BEHAVIOUR } from './coverage.ts';

type Table = Readonly<Record<string, Readonly<Record<string, Coverage>>>>;

/** Errnos that the rows list and the table does not. */
function uncovered(rows: readonly IoctlOp[], table: Table): readonly string[] {
  return rows.flatMap(({ name, errnos }) =>
    Object.keys(errnos)
      .filter((errno) => table[name]?.[errno] === undefined)
      .map((errno) => `${name} ${errno}`),
  );
}

describe('the table of errnos', () => {
  const rows: readonly IoctlOp[] = Object.values(ALL_OPS);

  it('has every errno that an ioctl row explains', () => {
    expect(uncovered(rows, COVERAGE)).toEqual([]);
  });

  it('would miss one that is left out', () => {
    const { EBUSY, ...rest } = COVERAGE.IOMMU_DESTROY;
    expect(EBUSY).toBeDefined();
    expect(uncovered(rows, { ...COVERAGE, IOMMU_DESTROY: rest })).toEqual(['IOMMU_DESTROY EBUSY']);
  });

  it('names a function of the kernel for what is modelled only', () => {
    const sources = [
      ...Object.values(COVERAGE)
        .flatMap((errnos) => Object.values(errnos))
        .flatMap((how) => ('modelled' in how ? [how.modelled] : [])),
      ...MODELLED_BEHAVIOUR.map(({ source }) => source),
    ];
    expect(sources.length).toBeGreaterThan(20);
    for (const source of sources) expect(source).toMatch(/^[\w/-]+\.c: [\w_]+/);
  });

  it('has no suite for nothing', () => {
    for (const errnos of Object.values(COVERAGE)) {
      for (const how of Object.values(errnos)) {
        if ('run' in how) expect(how.run.length).toBeGreaterThan(0);
      }
    }
  });
});
