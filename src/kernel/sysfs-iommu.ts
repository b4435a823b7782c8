/**
 * IOMMU instances from /sys/class/iommu, their capabilities from the registers that sysfs shows.
 * Source: drivers/iommu/intel/iommu.h (CAP, ECAP), drivers/iommu/amd/amd_iommu_types.h (EFR), v6.12.
 */
import type { Capability, Iommu, IommuType } from '../graph/types.ts';
import type { Reader } from './reader.ts';

/** What the boot of the host says about its IOMMUs. */
export interface IommuBoot {
  readonly cmdline: string;
  /** /proc/interrupts names its remapped interrupt chips `IR-...`. */
  readonly remapsInterrupts: boolean;
}

/** Reads how the host was booted. */
export function readIommuBoot(reader: Reader): IommuBoot {
  return {
    cmdline: reader.text('/proc/cmdline', null) ?? '',
    remapsInterrupts: (reader.text('/proc/interrupts', null) ?? '').includes('IR-'),
  };
}

/** Reads one IOMMU instance. */
export function readIommu(reader: Reader, name: string, boot: IommuBoot): Iommu {
  const dir = `/sys/class/iommu/${name}`;
  const about = `iommu:${name}`;
  const entries = reader.names(dir, about) ?? [];
  if (entries.includes('intel-iommu')) {
    const cap = reader.text(`${dir}/intel-iommu/cap`, about);
    const ecap = reader.text(`${dir}/intel-iommu/ecap`, about);
    if (cap !== null && ecap !== null) return intel(name, hex(cap), hex(ecap), boot);
    return unknownIommu(name, 'intel');
  }
  if (entries.includes('amd-iommu')) {
    const features = reader.text(`${dir}/amd-iommu/features`, about);
    if (features !== null) return amd(name, hex(features.split(':')[0] ?? '0'), boot);
    return unknownIommu(name, 'amd');
  }
  return unknownIommu(name, name.startsWith('smmu3') ? 'arm-smmu-v3' : 'other');
}

function unknownIommu(name: string, type: IommuType): Iommu {
  return {
    name,
    type,
    addressWidth: null,
    coherentWalk: 'unknown',
    snoopControl: 'unknown',
    dirtyTracking: 'unknown',
    nesting: 'unknown',
    pageSizes: [],
    msiIsolated: 'unknown',
  };
}

const ECAP = { coherent: 0n, remapping: 3n, snoop: 7n, nesting: 26n, scalable: 43n, dirty: 45n };
const KIB = 1024n;

function intel(name: string, cap: bigint, ecap: bigint, boot: IommuBoot): Iommu {
  const has = (bit: bigint): boolean => ((ecap >> bit) & 1n) === 1n;
  const scalable = has(ECAP.scalable) ? scalableMode(boot) : 'no';
  const inScalable = (bit: bigint): Capability => (has(bit) ? scalable : 'no');
  const superpages = (cap >> 34n) & 0xfn;
  return {
    name,
    type: 'intel',
    addressWidth: intelWidth(cap),
    coherentWalk: has(ECAP.coherent) ? 'yes' : 'no',
    snoopControl: has(ECAP.snoop) ? 'yes' : 'no',
    dirtyTracking: inScalable(ECAP.dirty),
    nesting: inScalable(ECAP.nesting),
    pageSizes: [
      4n * KIB,
      ...((superpages & 1n) === 1n ? [2n * KIB * KIB] : []),
      ...((superpages & 2n) === 2n ? [KIB * KIB * KIB] : []),
    ],
    msiIsolated: has(ECAP.remapping) && boot.remapsInterrupts ? 'yes' : 'no',
  };
}

/** The registers say what the unit can do; the command line, whether the kernel uses it. Left out there, the kernel's build decides, which sysfs does not show. */
function scalableMode({ cmdline }: IommuBoot): Capability {
  if (/\bsm_off\b/.test(cmdline)) return 'no';
  return /\bsm_on\b/.test(cmdline) ? 'yes' : 'unknown';
}

/** The table depth that the kernel picks (the deepest supported up to 48 bits, then 57), cut at MGAW. */
function intelWidth(cap: bigint): number {
  const mgaw = Number((cap >> 16n) & 0x3fn) + 1;
  const sagaw = (cap >> 8n) & 0x1fn;
  const depths = [
    [0b01000n, 57],
    [0b00100n, 48],
    [0b00010n, 39],
  ] as const;
  const deepest = depths.find(([bit]) => (sagaw & bit) !== 0n)?.[1] ?? 39;
  return Math.min(mgaw, deepest);
}

const EFR_HDSUP = 52n;

function amd(name: string, efr: bigint, boot: IommuBoot): Iommu {
  return {
    ...unknownIommu(name, 'amd'),
    dirtyTracking: ((efr >> EFR_HDSUP) & 1n) === 1n ? 'yes' : 'no',
    msiIsolated: boot.remapsInterrupts ? 'yes' : 'no',
  };
}

/** A register as sysfs prints it: hex without a prefix. */
function hex(text: string): bigint {
  return /^[0-9a-f]+$/i.test(text) ? BigInt(`0x${text}`) : 0n;
}
