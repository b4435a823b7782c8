/** Random ioctls on a context: what both kinds of sequences have in common. */
import type { BufferSpec, Choice, Draw, FuzzCall, FuzzOp, IoctlCall } from './calls.ts';

/** Where a sequence maps. */
export interface Place {
  /** The first address that it maps at. */
  readonly base: bigint;
  /** The step of addresses and lengths, in bytes. */
  readonly step: bigint;
  /** Addresses that are refused somewhere. */
  readonly odd: readonly bigint[];
}

const MEMORY_STEPS = 16;
const ALL = 0xffff_ffff_ffff_ffffn;

/** An ioctl on the context with that place. */
export function onContext(
  at: number,
  op: FuzzOp,
  fields: IoctlCall['fields'],
  buffers: Readonly<Record<string, BufferSpec>> = {},
): FuzzCall {
  return { do: 'ioctl', on: 'context', at, op, fields, buffers };
}

/** The choices. `context` draws the context of a call. */
export function contextChoices(draw: Draw, context: () => number, place: Place): readonly Choice[] {
  return [
    [4, () => onContext(context(), 'IOMMU_IOAS_ALLOC', { flags: draw.chance(0.04) ? 1 : 0 })],
    [7, () => onContext(context(), 'IOMMU_HWPT_ALLOC', hwptFields(draw))],
    [8, () => onContext(context(), 'IOMMU_DESTROY', { id: draw.id(draw.of(DESTROYED)) })],
    [3, () => onContext(context(), 'IOMMU_OPTION', optionFields(draw))],
    [2, () => onContext(context(), 'IOMMU_GET_HW_INFO', { dev_id: draw.id('device') })],
    [1, () => onContext(context(), 'IOMMU_VFIO_IOAS', { op: 0 })],
    ...rangeChoices(draw, context, place),
    ...mapChoices(draw, context, place),
    ...dirtyChoices(draw, context, place),
  ];
}

const DESTROYED = ['ioas', 'hwpt', 'hwpt', 'device', 'stdev'] as const;

function hwptFields(draw: Draw): IoctlCall['fields'] {
  const flags = draw.of([0, 0, 0, 0, 2, 2, 2, 1, 3, 0x80, 0x8000_0000]);
  const __reserved = draw.chance(0.02) ? 1 : 0;
  return { dev_id: draw.id('device'), pt_id: draw.id('ioas'), flags, __reserved };
}

function optionFields(draw: Draw): IoctlCall['fields'] {
  const option_id = draw.of([0, 1, 1, 1, 2]);
  return {
    option_id,
    op: draw.of([0, 0, 0, 1, 1, 2]),
    object_id: option_id === 0 && draw.chance(0.8) ? 0 : draw.id('ioas'),
    val64: BigInt(draw.below(3)),
  };
}

/** An address to map at, most often one that fits. */
function address(draw: Draw, { base, step, odd }: Place): bigint {
  if (draw.chance(0.08)) return draw.of([...odd, 0n, ALL, ALL - 0xfffn]);
  const off = draw.chance(0.04) ? 1n : 0n;
  return base + BigInt(draw.chance(0.5) ? 0 : draw.below(MEMORY_STEPS)) * step + off;
}

function length(draw: Draw, { step }: Place, most: number): bigint {
  if (draw.chance(0.03)) return draw.of([ALL, 1n, ALL - 1n]);
  return BigInt(draw.below(most + 1)) * step;
}

function rangeChoices(draw: Draw, context: () => number, place: Place): readonly Choice[] {
  return [
    [4, () => reportRanges(draw, context())],
    [3, () => allowRanges(draw, context(), place)],
  ];
}

function reportRanges(draw: Draw, at: number): FuzzCall {
  const room = draw.of([0, 1, 2, 8, 8, 8]);
  const fields = { ioas_id: draw.id('ioas'), num_iovas: room };
  const words = Array.from({ length: room * 2 }, () => 0n);
  const buffers: Record<string, BufferSpec> = room === 0 ? {} : { allowed_iovas: { words } };
  return onContext(at, 'IOMMU_IOAS_IOVA_RANGES', fields, buffers);
}

function allowRanges(draw: Draw, at: number, place: Place): FuzzCall {
  const count = draw.of([0, 1, 1, 1, 2]);
  const words = Array.from({ length: count }, () => {
    const start = address(draw, place);
    const span = BigInt(draw.below(8)) * place.step;
    return [start, draw.chance(0.05) ? start : BigInt.asUintN(64, start + span + 0xfffn)];
  }).flat();
  const fields = { ioas_id: draw.id('ioas'), num_iovas: count };
  const buffers: Record<string, BufferSpec> = count === 0 ? {} : { allowed_iovas: { words } };
  return onContext(at, 'IOMMU_IOAS_ALLOW_IOVAS', fields, buffers);
}

function mapChoices(draw: Draw, context: () => number, place: Place): readonly Choice[] {
  const mapFlags = (): number => draw.of([7, 7, 7, 7, 5, 6, 3, 1, 0xf]);
  const memory = (): number => draw.below(MEMORY_STEPS) * Number(place.step);
  return [
    [
      6,
      () => {
        const [iova, size] = [address(draw, place), length(draw, place, 4)];
        const fields = { ioas_id: draw.id('ioas'), flags: mapFlags(), iova, length: size };
        return onContext(context(), 'IOMMU_IOAS_MAP', fields, { user_va: { memory: memory() } });
      },
    ],
    [
      3,
      () => {
        const everything = draw.chance(0.1);
        const iova = everything ? 0n : address(draw, place);
        const size = everything ? ALL : length(draw, place, 12);
        return onContext(context(), 'IOMMU_IOAS_UNMAP', {
          ioas_id: draw.id('ioas'),
          iova,
          length: size,
        });
      },
    ],
    [
      3,
      () =>
        onContext(context(), 'IOMMU_IOAS_COPY', {
          flags: mapFlags(),
          dst_ioas_id: draw.id('ioas'),
          src_ioas_id: draw.id('ioas'),
          length: length(draw, place, 6),
          dst_iova: address(draw, place),
          src_iova: address(draw, place),
        }),
    ],
  ];
}

function dirtyChoices(draw: Draw, context: () => number, place: Place): readonly Choice[] {
  return [
    [
      4,
      () =>
        onContext(context(), 'IOMMU_HWPT_SET_DIRTY_TRACKING', {
          hwpt_id: draw.id('hwpt'),
          flags: draw.of([0, 1, 1, 1, 2]),
        }),
    ],
    [4, () => readBitmap(draw, context(), place)],
  ];
}

function readBitmap(draw: Draw, at: number, place: Place): FuzzCall {
  const page_size = draw.of([place.step, place.step, place.step * 2n, 0x1000n, 0n]);
  const iova = draw.chance(0.7) ? place.base : address(draw, place);
  const fields = {
    hwpt_id: draw.id('hwpt'),
    flags: draw.of([0, 0, 1, 2]),
    iova,
    // Nothing at all, or enough: a length of zero with an address of zero asks for the whole space.
    length: BigInt(1 + draw.below(MEMORY_STEPS)) * place.step,
    page_size,
  };
  const bytes = Array.from({ length: 16 }, () => (draw.chance(0.1) ? 0x80 : 0));
  return onContext(at, 'IOMMU_HWPT_GET_DIRTY_BITMAP', fields, { data: { bytes } });
}
