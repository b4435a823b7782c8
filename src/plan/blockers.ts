/**
 * Blockers in words: what is in the way, on which object, and what to do about it. One row a kind,
 * so that a kind without a remedy does not compile.
 */
import { formatRange } from '../base/iova.ts';
import { countOf, formatHolders, formatPlace, formatStuckCall, listOf } from './text.ts';
import type { Blocker, BlockerKind } from './types.ts';

/** A blocker as a person reads it. */
export interface BlockerText {
  readonly text: string;
  readonly remedy: string;
}

type BlockerOf<K extends BlockerKind> = Extract<Blocker, { kind: K }>;
type Rows = { readonly [K in BlockerKind]: (blocker: BlockerOf<K>) => BlockerText };

/** The blocker in words. */
export function explainBlocker(blocker: Blocker): BlockerText {
  const row = ROWS[blocker.kind] as (blocker: Blocker) => BlockerText;
  return row(blocker);
}

const ROWS: Rows = {
  'kernel-feature-missing': ({ feature, release }) => ({
    text: `kernel ${release} does not offer ${feature}`,
    remedy: FEATURE_REMEDIES[feature] ?? `use a kernel with ${feature}`,
  }),
  'device-missing': ({ device, place }) => ({
    text: `${device}, claimed at ${formatPlace(place)}, is not on this host`,
    remedy: 'check the address with `lspci -D`, or limit the container with `hosts`',
  }),
  'no-iommu': ({ device }) => ({
    text: `${device} has no IOMMU, so nothing limits what memory it can reach`,
    remedy: 'enable the IOMMU in firmware and on the kernel command line (intel_iommu=on)',
  }),
  'is-bridge': ({ device }) => ({
    text: `${device} is a PCI bridge, which cannot be given to a container`,
    remedy: 'list the functions behind it instead',
  }),
  unreadable: ({ what, errno }) => ({
    text: `${what} could not be read (${errno}), and nothing is planned from a missing fact`,
    remedy: 'run as root, or see the kernel log',
  }),
  'in-use': ({ device, by }) => ({
    text: `${device} is held by ${formatHolders(by)}`,
    remedy: 'stop that process first; a device in use is never taken',
  }),
  'group-in-use': ({ device, group, by }) => ({
    text: `IOMMU group ${group} of ${device} is held by ${formatHolders(by)}`,
    remedy: 'stop that process first; a group in use is never taken',
  }),
  'native-driver': ({ device, driver }) => ({
    text: `${device} is on the native driver ${driver}`,
    remedy: `if the host can spare it: echo vfio-pci > /sys/bus/pci/devices/${device}/driver_override; echo ${device} > /sys/bus/pci/drivers/${driver}/unbind`,
  }),
  'no-driver': ({ device }) => ({
    text: `${device} has no driver and driver.take is never`,
    remedy: 'bind it to vfio-pci yourself, or set `driver.take: unbound`',
  }),
  'other-vfio-driver': ({ device, driver, wanted }) => ({
    text: `${device} is on ${driver}, and the config wants ${wanted}`,
    remedy: `set \`driver.name: ${driver}\`, or rebind the device to ${wanted} while it is free`,
  }),
  'foreign-override': ({ device, override }) => ({
    text: `driver_override of ${device} is ${override}, written by someone else`,
    remedy: `if nobody needs it: echo > /sys/bus/pci/devices/${device}/driver_override`,
  }),
  'no-device-file': ({ device, driver }) => ({
    text: `${device} has no VFIO device file although ${driver} is bound`,
    remedy: 'use a kernel with CONFIG_VFIO_DEVICE_CDEV; `autodomain doctor` checks it',
  }),
  'group-not-viable': ({ device, group, mate, driver }) => ({
    text: `${mate}, in IOMMU group ${group} with ${device}, is on the native driver ${driver}`,
    remedy: `unbind ${mate} from ${driver} if the host can spare it, and list it or accept it`,
  }),
  'group-mate-unlisted': ({ device, group, mates }) => ({
    text: `IOMMU group ${group} of ${device} also has ${listOf(mates)}, which could do DMA through the container`,
    remedy: 'list the whole group in one container, or set `groupMates: accept`',
  }),
  'group-torn': ({ group, device, place, other, otherContainer, otherPlace }) => ({
    text: `IOMMU group ${group} is torn: ${device} is claimed at ${formatPlace(place)}, ${other} by ${otherContainer} at ${formatPlace(otherPlace)}`,
    remedy: 'put the whole group into one container',
  }),
  'firmware-region': ({ device, group, range }) => ({
    text: `firmware reserves ${formatRange(range)} for IOMMU group ${group} of ${device}, so the kernel refuses to give it away`,
    remedy:
      'turn off what uses the region in the firmware (RMRR, unity map), or use another device',
  }),
  'msi-not-isolated': ({ device, iommu }) => ({
    text: `${iommu} does not remap interrupts, so ${device} could forge them`,
    remedy: 'enable interrupt remapping (x2APIC, intremap) in the firmware',
  }),
  'dirty-tracking-unsupported': ({ device, iommu, by, missing }) => ({
    text: `${device}${iommu === null ? '' : ` behind ${iommu}`} cannot track dirty pages by ${by}: ${missing}`,
    remedy: 'set `dirtyTracking.mode: preferred` or `none`, or use another device',
  }),
  'device-tracking-not-yet': ({ device }) => ({
    text: `${device} can only track by itself (DMA logging), which autodomain does not switch on yet`,
    remedy: 'set `dirtyTracking.active: false` and let the consumer start the logging',
  }),
  'nesting-unsupported': ({ device, iommu }) => ({
    text: `${iommu} of ${device} cannot give a nesting parent`,
    remedy: 'set `nesting: false`, or use a device behind another IOMMU',
  }),
  'iova-reserved': ({ device, allow, reserved, what }) => ({
    text: `iova.allow ${formatRange(allow)} is cut by ${formatRange(reserved)} of ${device} (${what})`,
    remedy: 'shrink `iova.allow` around it, or use another device',
  }),
  'huge-pages-needs-empty': ({ devices }) => ({
    text: `iova.hugePages can only change in an empty IOAS: ${countOf(devices, 'device')} would be detached meanwhile`,
    remedy: 'confirm the outage with `--confirm NAME`, or keep the present value',
  }),
  'not-enough-devices': ({ place, wanted, found, passedOver, passedOverCount }) => ({
    text: `the selector at ${formatPlace(place)} wants ${wanted} and finds ${found}${formatPassedOver(passedOver, passedOverCount)}`,
    remedy: 'free or add matching devices, widen the selector, or lower `count`',
  }),
  contradiction: ({ context, what }) => ({
    text: `context ${context} is not what the journal says: ${what}`,
    remedy: 'someone else changed it; close its consumers and let it be rebuilt',
  }),
  stuck: ({ calls }) => ({
    text: listOf(calls.map(formatStuckCall)),
    remedy:
      'nothing can take the call back: the kernel log says what the device or its driver waits for; the next attempt goes on once it returns',
  }),
  'rename-onto-living': ({ from }) => ({
    text: `\`formerly: ${from}\` cannot be followed: both containers are alive`,
    remedy: 'remove the old container first, or drop it from `formerly`',
  }),
  'move-waits': ({ device, from }) => ({
    text: `${device} still belongs to ${from}: what the config no longer says is in its grace period`,
    remedy: 'wait for the grace to end, or set `state: absent` on the old container',
  }),
  'too-many-removals': ({ removed, managed, limit }) => ({
    text: `${countOf(removed, 'device')} of ${managed} would be removed because the config no longer names them; without a word from you at most ${limit}`,
    remedy: `if that is meant: \`--allow-removals=${removed}\`; otherwise look for a missing file`,
  }),
  protected: () => ({
    text: 'deletion is protect',
    remedy: 'set `deletion: allow` first, apply, and then remove it',
  }),
  'needs-confirmation': ({ container }) => ({
    text: 'deletion is confirm, and nobody has confirmed it',
    remedy: `confirm with \`--confirm ${container}\``,
  }),
};

const FEATURE_REMEDIES: Readonly<Record<string, string>> = {
  iommufd: 'use a kernel with CONFIG_IOMMUFD (Debian leaves it out), and load the module iommufd',
  'vfio-cdev':
    'modprobe vfio-pci; if that changes nothing, use a kernel with CONFIG_VFIO_DEVICE_CDEV (Linux 6.6 or later)',
  'vfio-pci': 'load the module: modprobe vfio-pci',
};

function formatPassedOver(
  passedOver: readonly { readonly device: string; readonly why: string }[],
  count: number,
): string {
  if (count === 0) return '; no other device matches';
  const named = passedOver.map(({ device, why }) => `${device} ${why}`).join(', ');
  const more = count - passedOver.length;
  return `; passed over: ${named}${more > 0 ? ` and ${more} more` : ''}`;
}
