/** Random sequences for a kernel with iommufd's selftest: mock devices, accesses, dirty pages, nested HWPTs. */
import { MOCK_APERTURE, MOCK_NESTED, MOCK_NO_DIRTY, MOCK_PAGE } from '../../lab/mock-uapi.ts';
import { type Choice, Draw, type FuzzCall } from './calls.ts';
import { contextChoices, onContext, type Place } from './context-calls.ts';

const PLACE: Place = {
  base: MOCK_APERTURE.start,
  step: MOCK_PAGE,
  odd: [MOCK_APERTURE.start - MOCK_PAGE, MOCK_APERTURE.last - 0xfffn, MOCK_APERTURE.last + 1n],
};

/** The bytes of memory that the sequences map from. */
export const MOCK_MEMORY_BYTES = 64 * 1024;

const LATEST = { ioas: { ref: 'ioas', nth: 0 }, hwpt: { ref: 'hwpt', nth: 0 } } as const;
const FIXED_RW = 7;

const OPENING: readonly FuzzCall[] = [
  { do: 'open-context' },
  onContext(0, 'IOMMU_IOAS_ALLOC', {}),
  onContext(0, 'MOCK_DOMAIN', { id: LATEST.ioas }),
];

/** How sequences go on, so that the rest of each meets something: random calls alone seldom get that far. */
const OPENINGS: readonly (readonly FuzzCall[])[] = [
  [],
  [{ do: 'open-context' }],
  [
    { do: 'open-context' },
    onContext(1, 'IOMMU_IOAS_ALLOC', {}),
    onContext(1, 'MOCK_DOMAIN_FLAGS', { id: LATEST.ioas, dev_flags: MOCK_NO_DIRTY }),
    { do: 'open-context' },
  ],
  [
    onContext(0, 'IOMMU_HWPT_ALLOC', {
      dev_id: { ref: 'device', nth: 0 },
      pt_id: LATEST.ioas,
      flags: 2,
    }),
    onContext(0, 'IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt_id: LATEST.hwpt, flags: 1 }),
    onContext(
      0,
      'IOMMU_IOAS_MAP',
      { ioas_id: LATEST.ioas, flags: FIXED_RW, iova: PLACE.base, length: 8n * MOCK_PAGE },
      { user_va: { memory: 0 } },
    ),
  ],
  [
    onContext(0, 'CREATE_ACCESS', { id: LATEST.ioas, flags: 1 }),
    onContext(0, 'IOMMU_IOAS_ALLOC', {}),
  ],
];

/** The sequence of a seed: `length` calls, the first of which give the rest something to meet. */
export function mockSequence(seed: number, length: number): readonly FuzzCall[] {
  const draw = new Draw(seed);
  const context = (): number => (draw.chance(0.85) ? 0 : 1 + draw.below(2));
  const choices: readonly Choice[] = [
    ...contextChoices(draw, context, PLACE),
    ...deviceChoices(draw, context),
    ...accessChoices(draw, context),
    ...nestedChoices(draw, context),
    [1, () => ({ do: 'open-context' })],
    [1, () => ({ do: 'close-context', context: context() })],
  ];
  const calls = [...OPENING, ...draw.of(OPENINGS)];
  while (calls.length < length) calls.push(draw.call(choices));
  return calls;
}

function deviceChoices(draw: Draw, context: () => number): readonly Choice[] {
  const pt = () => draw.id(draw.of(['ioas', 'hwpt'] as const));
  return [
    [3, () => onContext(context(), 'MOCK_DOMAIN', { id: pt() })],
    [
      5,
      () => {
        const dev_flags = draw.of([0, MOCK_NO_DIRTY, MOCK_NO_DIRTY, 0x100]);
        return onContext(context(), 'MOCK_DOMAIN_FLAGS', { id: pt(), dev_flags });
      },
    ],
    [10, () => onContext(context(), 'MOCK_DOMAIN_REPLACE', { id: draw.id('stdev'), pt_id: pt() })],
    [3, () => onContext(context(), 'DIRTY', ...dirtyPages(draw))],
    [2, () => onContext(context(), 'MD_CHECK_MAP', ...checkedMap(draw))],
    [
      2,
      () => {
        const start = PLACE.base + BigInt(draw.below(64)) * 0x1000n;
        const length = draw.of([0n, 0x1000n, 0x1000n, 0x5000n, 0xffff_ffff_ffff_ffffn]);
        return onContext(context(), 'ADD_RESERVED', { id: draw.id('ioas'), start, length });
      },
    ],
  ];
}

type Arguments = readonly [
  fields: Parameters<typeof onContext>[2],
  buffers: Parameters<typeof onContext>[3],
];

function dirtyPages(draw: Draw): Arguments {
  const fields = {
    id: draw.id('hwpt'),
    iova: PLACE.base + BigInt(draw.below(8)) * MOCK_PAGE,
    length: BigInt(draw.below(12)) * MOCK_PAGE,
    page_size: MOCK_PAGE,
  };
  return [fields, { uptr: { bytes: Array.from({ length: 8 }, () => draw.below(256)) } }];
}

function checkedMap(draw: Draw): Arguments {
  const fields = {
    id: draw.id('hwpt'),
    iova: PLACE.base + BigInt(draw.below(16)) * MOCK_PAGE,
    length: BigInt(1 + draw.below(3)) * MOCK_PAGE,
  };
  return [fields, { uptr: { memory: draw.below(16) * Number(MOCK_PAGE) } }];
}

function accessChoices(draw: Draw, context: () => number): readonly Choice[] {
  const access = () => draw.below(2);
  return [
    [
      3,
      () => {
        const flags = draw.of([1, 1, 0, 2]);
        return onContext(context(), 'CREATE_ACCESS', { id: draw.id('ioas'), flags });
      },
    ],
    [
      4,
      () =>
        onContext(context(), 'ACCESS_REPLACE_IOAS', {
          id: { access: access() },
          ioas_id: draw.id('ioas'),
        }),
    ],
    [2, () => ({ do: 'close-access', access: access() })],
  ];
}

function nestedChoices(draw: Draw, context: () => number): readonly Choice[] {
  const info = (): FuzzCall => {
    const data_len = draw.of([4, 8, 16]);
    const bytes = Array.from({ length: data_len }, () => 0xaa);
    const fields = { dev_id: draw.id('device'), data_len };
    return onContext(context(), 'IOMMU_GET_HW_INFO', fields, { data_uptr: { bytes } });
  };
  const allocate = (): FuzzCall => {
    const data_type = draw.of([MOCK_NESTED.type, MOCK_NESTED.type, MOCK_NESTED.type, 1, 0]);
    const data_len = draw.of([4, 4, 4, 2, 8, 0]);
    const fields = {
      dev_id: draw.id('device'),
      pt_id: draw.id('hwpt'),
      flags: draw.of([0, 0, 0, 0, 1, 2, 4]),
      data_type,
      data_len,
      // A fault queue that is not there.
      fault_id: 1000,
    };
    const bytes = Array.from({ length: 8 }, () => 0);
    return onContext(context(), 'IOMMU_HWPT_ALLOC', fields, { data_uptr: { bytes } });
  };
  const parent = (): FuzzCall =>
    onContext(context(), 'IOMMU_HWPT_ALLOC', {
      dev_id: draw.id('device'),
      pt_id: draw.id('ioas'),
      flags: 1,
    });
  return [
    [2, info],
    [4, allocate],
    [2, parent],
  ];
}
