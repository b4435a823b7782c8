/** Random sequences over device files: single functions, mates of one group, an mdev, in up to three contexts. */
import { FEATURE_GET, FEATURE_PROBE } from '../../../src/kernel/uapi/vfio.ts';
import { type Choice, Draw, type FuzzCall, type IoctlCall } from './calls.ts';
import { contextChoices, onContext, type Place } from './context-calls.ts';

const PLACE: Place = { base: 0x10000n, step: 0x1000n, odd: [0xfee00000n, 0xfed00000n, 1n << 60n] };

/** The bytes of memory that the sequences map from. */
export const VFIO_MEMORY_BYTES = 128 * 1024;

/** The sequence of a seed: `length` calls over that many device files. */
export function vfioSequence(seed: number, length: number, devices: number): readonly FuzzCall[] {
  const draw = new Draw(seed);
  const context = (): number => (draw.chance(0.85) ? 0 : 1 + draw.below(2));
  const file = (): number => (draw.chance(0.8) ? draw.below(3) : draw.below(6));
  const choices: readonly Choice[] = [
    ...contextChoices(draw, context, PLACE),
    ...fileChoices(draw, file),
    [4, () => ({ do: 'open-device', device: draw.below(devices) })],
    [8, () => ({ do: 'bind', file: file(), context: context() })],
    [2, () => ({ do: 'close-device', file: file() })],
    [1, () => ({ do: 'open-context' })],
    [1, () => ({ do: 'close-context', context: context() })],
  ];
  const first = draw.below(devices);
  // Neighbours in the list are often mates of one group.
  const second = draw.chance(0.5) ? (first + 1) % devices : draw.below(devices);
  const calls: FuzzCall[] = [
    { do: 'open-context' },
    { do: 'open-context' },
    { do: 'open-device', device: first },
    { do: 'bind', file: 0, context: 0 },
    onContext(0, 'IOMMU_IOAS_ALLOC', {}),
    { do: 'open-device', device: second },
    { do: 'bind', file: 1, context: draw.chance(0.8) ? 0 : 1 },
  ];
  while (calls.length < length) calls.push(draw.call(choices));
  return calls;
}

function fileChoices(draw: Draw, file: () => number): readonly Choice[] {
  const onFile = (op: IoctlCall['op'], fields: IoctlCall['fields']): FuzzCall => ({
    do: 'ioctl',
    on: 'file',
    at: file(),
    op,
    fields,
  });
  const malformed = (): number => (draw.chance(0.04) ? 0x80 : 0);
  return [
    [
      14,
      () =>
        onFile('VFIO_DEVICE_ATTACH_IOMMUFD_PT', {
          pt_id: draw.id(draw.of(['ioas', 'ioas', 'hwpt'] as const)),
          flags: malformed(),
        }),
    ],
    [3, () => onFile('VFIO_DEVICE_DETACH_IOMMUFD_PT', { flags: malformed() })],
    [1, () => onFile('VFIO_DEVICE_GET_INFO', {})],
    // Only questions: an answer to a SET would change the device.
    [
      2,
      () => {
        const verbs = draw.of([0, FEATURE_PROBE, FEATURE_PROBE | FEATURE_GET, 0x80000, 0x30000]);
        const set = draw.chance(0.2) ? FEATURE_PROBE | 0x20000 : 0;
        return onFile('VFIO_DEVICE_FEATURE', { flags: draw.below(12) | verbs | set });
      },
    ],
  ];
}
