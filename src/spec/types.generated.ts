// Made by `npm run generate` from schema/autodomain.v1alpha1.json. Do not edit.

/**
 * Documents of autodomain: what VFIO containers a host shall have (Container), and what a host is (Host).
 */
export type AutodomainDocument = ({
/**
 * Kind of the document.
 */
kind: ("Container" | "Host")
} & (ContainerDocument | HostDocument))
/**
 * A name of 1 to 63 characters: lower case letters, digits, `-` and `.`.
 */
export type ObjectName = string
/**
 * A size in bytes: hex text, or a number with KiB, MiB, GiB or TiB.
 */
export type PageSize = string
/**
 * PCI address of a function, as `lspci -D` and sysfs write it: domain:bus:device.function, hex in lower case.
 */
export type PciAddress = string
/**
 * UUID of a mediated device, lower case, as under /sys/bus/mdev/devices.
 */
export type MdevUuid = string

/**
 * A VFIO container: an IOAS in an iommufd context, the devices attached to it, and what their page tables must be able to do.
 */
export interface ContainerDocument {
/**
 * Version of this schema.
 */
apiVersion: "autodomain.dev/v1alpha1"
/**
 * Kind of the document.
 */
kind: "Container"
metadata: Metadata
spec: ContainerSpecDocument
}
/**
 * Names the object.
 */
export interface Metadata {
/**
 * Name of the object, unique among its kind.
 */
name: string
/**
 * Free labels; they have no effect.
 */
labels?: {
[k: string]: string
}
/**
 * Free annotations; `config.kubernetes.io/local-config: "true"` makes autodomain skip the document.
 */
annotations?: {
[k: string]: string
}
}
/**
 * What the container shall be.
 */
export interface ContainerSpecDocument {
/**
 * Hosts that the container is for, by name; `*` matches any run of characters. Default: every host.
 * 
 * @minItems 1
 * @maxItems 1024
 */
hosts?: [string, ...(string)[]]
/**
 * Name of the iommufd context (one open of /dev/iommu). Containers in one context can trade devices by an atomic replace. Default: a context of its own.
 */
iommufd?: string
dirtyTracking?: DirtyTrackingDocument
/**
 * Are HWPTs allocated as nesting parents. Default: false. Kernel: IOMMU_HWPT_ALLOC_NEST_PARENT.
 */
nesting?: boolean
iova?: IovaDocument
/**
 * The devices of the container. Default: none.
 * 
 * @maxItems 65536
 */
devices?: ClaimDocument[]
driver?: DriverDocument
/**
 * Members of a listed device's IOMMU group that are not listed (bridges aside) could do DMA through the container. `block` refuses them, `accept` takes the risk. Default: block.
 */
groupMates?: ("block" | "accept")
/**
 * What removing the container takes: `allow` nothing, `confirm` a person's word, `protect` a change of this field first. Default: allow.
 */
deletion?: ("allow" | "confirm" | "protect")
/**
 * Earlier names. A live container of that name is renamed and keeps its context, ids and attachments.
 * 
 * @maxItems 64
 */
formerly?: ObjectName[]
/**
 * `absent` removes the container at once. Default: present.
 */
state?: ("present" | "absent")
}
/**
 * Which dirty tracking the container needs.
 */
export interface DirtyTrackingDocument {
/**
 * `required`: every device must be tracked, else nothing is applied. `preferred`: devices that can be tracked are, on HWPTs of their own. `none`: it does not matter. Default: none. Kernel: IOMMU_HWPT_ALLOC_DIRTY_TRACKING.
 */
mode?: ("required" | "preferred" | "none")
/**
 * Who has to be able to track: the IOMMU, the device itself (VFIO DMA logging), or either. Default: iommu.
 */
by?: ("iommu" | "device" | "either")
/**
 * Is tracking switched on. Default: false. Kernel: IOMMU_HWPT_SET_DIRTY_TRACKING.
 */
active?: boolean
}
/**
 * The IOVA space of the container.
 */
export interface IovaDocument {
/**
 * Ranges that must stay usable: a device that would reserve part of one is refused. Not a fence. Kernel: IOMMU_IOAS_ALLOW_IOVAS.
 * 
 * @maxItems 1024
 */
allow?: IovaRangeText[]
/**
 * May page tables use huge pages; false gives dirty bits for each 4 KiB. Default: true. Kernel: IOMMU_OPTION_HUGE_PAGES.
 */
hugePages?: boolean
}
/**
 * An inclusive range of IOVAs, in bytes.
 */
export interface IovaRangeText {
/**
 * First address. Kernel: `iommu_iova_range.start`.
 */
start: string
/**
 * Last address, which belongs to the range. Kernel: `iommu_iova_range.last`.
 */
last: string
}
/**
 * One device by name, or some devices by their properties.
 */
export interface ClaimDocument {
/**
 * This PCI function.
 */
pci?: string
/**
 * This mediated device. It attaches to the IOAS and is never tracked by an IOMMU.
 */
mdev?: string
select?: SelectorDocument
/**
 * How many devices `select` takes. Default: 1.
 */
count?: number
}
/**
 * Free devices with these properties, lowest address first. A device that serves the container stays.
 */
export interface SelectorDocument {
/**
 * PCI vendor id, such as `"8086"`.
 */
vendor?: string
/**
 * PCI device id.
 */
device?: string
/**
 * PCI class: two, four or six hex digits, the more the narrower.
 */
class?: string
/**
 * NUMA node of the device.
 */
numaNode?: number
/**
 * Only VFs of this physical function.
 */
pf?: string
/**
 * Only VFs with this index, or in this inclusive range, as text: `"3"` or `"0-7"`.
 */
vf?: string
}
/**
 * How devices get their VFIO driver.
 */
export interface DriverDocument {
/**
 * A VFIO driver, or `auto` for the most specific `vfio_pci:` alias. Default: vfio-pci.
 */
name?: string
/**
 * `unbound`: a device without a driver is bound. `never`: it must be bound already. A native driver is never unbound. Default: unbound.
 */
take?: ("never" | "unbound")
}
/**
 * A host: its hardware, and what autodomain holds there. The input of `--host`, the output of `snapshot`.
 */
export interface HostDocument {
/**
 * Version of this schema.
 */
apiVersion: "autodomain.dev/v1alpha1"
/**
 * Kind of the document.
 */
kind: "Host"
metadata: HostMetadata
spec: HostSpecDocument
status?: HostStatusDocument
simulation?: SimulationDocument
}
/**
 * Names the object.
 */
export interface HostMetadata {
/**
 * Name of the host, as the kernel knows it; `hosts` patterns match it.
 */
name: string
/**
 * Free labels; they have no effect.
 */
labels?: {
[k: string]: string
}
/**
 * Free annotations; `config.kubernetes.io/local-config: "true"` makes autodomain skip the document.
 */
annotations?: {
[k: string]: string
}
}
/**
 * The hardware and the kernel.
 */
export interface HostSpecDocument {
/**
 * Content of /proc/sys/kernel/random/boot_id.
 */
bootId?: string
kernel: KernelDocument
/**
 * IOMMU instances. A capability that is left out is unknown.
 * 
 * @maxItems 4096
 */
iommus?: IommuDocument[]
/**
 * IOMMU groups.
 * 
 * @maxItems 65536
 */
groups?: GroupDocument[]
/**
 * PCI functions.
 * 
 * @maxItems 65536
 */
devices?: PciDeviceDocument[]
/**
 * Mediated devices.
 * 
 * @maxItems 65536
 */
mdevs?: MdevDeviceDocument[]
/**
 * Processes that have a device file or a legacy group file open.
 * 
 * @maxItems 65536
 */
holders?: HolderDocument[]
/**
 * Paths that cannot be read, with what reading them gives.
 * 
 * @maxItems 65536
 */
unreadable?: UnreadableDocument[]
}
/**
 * The running kernel.
 */
export interface KernelDocument {
/**
 * As `uname -r` prints it.
 */
release: string
/**
 * What of iommufd and VFIO it offers.
 * 
 * @maxItems 8
 */
features: ("iommufd" | "vfio-cdev" | "vfio-pci" | "unsafe-interrupts" | "noiommu")[]
}
/**
 * One IOMMU.
 */
export interface IommuDocument {
/**
 * Name under /sys/class/iommu, such as dmar0.
 */
name: string
/**
 * Family: it decides which devices can share a HWPT.
 */
type: ("intel" | "amd" | "arm-smmu-v3" | "virtio" | "other")
/**
 * Bits of IOVA that its page tables translate.
 */
addressWidth?: number
/**
 * Page walks are cache coherent (Intel ECAP.C).
 */
coherentWalk?: boolean
/**
 * Snooping can be enforced (Intel ECAP.SC).
 */
snoopControl?: boolean
/**
 * Page tables can track dirty pages (Intel SSADS, AMD HDSUP).
 */
dirtyTracking?: boolean
/**
 * Page tables can be nesting parents.
 */
nesting?: boolean
/**
 * Page sizes of its page tables.
 * 
 * @maxItems 16
 */
pageSizes?: PageSize[]
/**
 * Interrupts are remapped, so that a device cannot forge another's.
 */
msiIsolated?: boolean
}
/**
 * One group.
 */
export interface GroupDocument {
/**
 * Number under /sys/kernel/iommu_groups; it changes between boots.
 */
id: number
/**
 * Name of its IOMMU.
 */
iommu?: string
/**
 * Regions that it reserves in the IOVA space. sysfs: reserved_regions.
 * 
 * @maxItems 1024
 */
reserved?: ReservedRegionDocument[]
}
/**
 * One region.
 */
export interface ReservedRegionDocument {
/**
 * First address.
 */
start: string
/**
 * Last address, inclusive.
 */
last: string
/**
 * `direct` makes the kernel refuse the group; `direct-relaxable` has no effect.
 */
type: ("msi" | "reserved" | "direct" | "direct-relaxable")
}
/**
 * One PCI function.
 */
export interface PciDeviceDocument {
pci: PciAddress
/**
 * Its IOMMU group. Left out: no IOMMU translates it, and it is never used.
 */
group?: number
/**
 * PCI vendor id.
 */
vendor: string
/**
 * PCI device id.
 */
device: string
/**
 * PCI class, six hex digits; 0604xx is a bridge.
 */
class: string
/**
 * NUMA node.
 */
numaNode?: number
/**
 * PCI address of a function, as `lspci -D` and sysfs write it: domain:bus:device.function, hex in lower case.
 */
pf?: string
/**
 * Set for a VF: its index.
 */
vf?: number
/**
 * Bound driver. Left out: none.
 */
driver?: string
/**
 * Content of driver_override.
 */
driverOverride?: string
/**
 * The driver of the most specific `vfio_pci:` alias.
 */
variantDriver?: string
/**
 * Its file under /dev/vfio/devices.
 */
cdev?: string
/**
 * Reset methods in the kernel's order, as reset_method in sysfs.
 */
reset?: string
/**
 * The function sits on a root bus, so that it is reset alone. Default: false: functions of one bus are reset together, VFs each alone.
 */
rootBus?: boolean
tracking?: TrackingDocument
}
/**
 * What the device can track by itself.
 */
export interface TrackingDocument {
/**
 * It offers DMA logging. Kernel: VFIO_DEVICE_FEATURE_DMA_LOGGING_START.
 */
device?: boolean
/**
 * Its migration features. Kernel: VFIO_DEVICE_FEATURE_MIGRATION.
 * 
 * @maxItems 3
 */
migration?: ("stop-copy" | "p2p" | "pre-copy")[]
}
/**
 * One mediated device.
 */
export interface MdevDeviceDocument {
uuid: MdevUuid
/**
 * Name of its parent device.
 */
parent: string
/**
 * Name of its type.
 */
type: string
/**
 * Bound driver. Default: vfio_mdev.
 */
driver?: string
/**
 * Its file under /dev/vfio/devices.
 */
cdev?: string
tracking?: TrackingDocument
}
/**
 * One open file.
 */
export interface HolderDocument {
/**
 * PCI address or mdev UUID of the device whose file is open.
 */
device?: string
/**
 * IOMMU group whose legacy file /dev/vfio/N is open.
 */
group?: number
/**
 * Process id; 0 where the snapshot leaves it out.
 */
pid: number
/**
 * Name of the process.
 */
comm: string
/**
 * User id.
 */
uid?: number
}
/**
 * One path.
 */
export interface UnreadableDocument {
/**
 * The path.
 */
path: string
/**
 * The errno by name.
 */
errno: string
}
/**
 * What autodomain holds there. Left out: nothing.
 */
export interface HostStatusDocument {
/**
 * Open iommufd contexts.
 * 
 * @maxItems 65536
 */
contexts?: ContextDocument[]
}
/**
 * One context.
 */
export interface ContextDocument {
/**
 * A name of 1 to 63 characters: lower case letters, digits, `-` and `.`.
 */
name: string
/**
 * Its containers.
 * 
 * @maxItems 65536
 */
containers?: LiveContainerDocument[]
/**
 * Devices that are bound to the context and attached to nothing.
 * 
 * @maxItems 65536
 */
bound?: BoundDocument[]
}
/**
 * One container.
 */
export interface LiveContainerDocument {
/**
 * A name of 1 to 63 characters: lower case letters, digits, `-` and `.`.
 */
name: string
/**
 * Id of its IOAS.
 */
ioas: number
/**
 * IOVA allow list.
 * 
 * @maxItems 1024
 */
allow?: IovaRangeText[]
/**
 * Huge-page option. Default: true.
 */
hugePages?: boolean
/**
 * The last word of the config on its removal. Default: allow.
 */
deletion?: ("allow" | "confirm" | "protect")
/**
 * Its HWPTs, oldest first.
 * 
 * @maxItems 65536
 */
hwpts?: HwptDocument[]
/**
 * Devices attached in it.
 * 
 * @maxItems 65536
 */
attached?: AttachmentDocument[]
}
/**
 * One HWPT.
 */
export interface HwptDocument {
/**
 * Its id.
 */
id: number
/**
 * Can it track, and does it.
 */
dirtyTracking: ("none" | "capable" | "active")
/**
 * Is it a nesting parent. Default: false.
 */
nesting?: boolean
/**
 * The IOMMU that it was allocated for. Default: that of the first device on it.
 */
iommu?: string
}
/**
 * One attachment.
 */
export interface AttachmentDocument {
/**
 * PCI address of a function, as `lspci -D` and sysfs write it: domain:bus:device.function, hex in lower case.
 */
pci?: string
/**
 * UUID of a mediated device, lower case, as under /sys/bus/mdev/devices.
 */
mdev?: string
/**
 * Its id in the context.
 */
devId: number
/**
 * Id of its HWPT; for an mdev, of the IOAS.
 */
to: number
}
/**
 * One bound device.
 */
export interface BoundDocument {
/**
 * PCI address of a function, as `lspci -D` and sysfs write it: domain:bus:device.function, hex in lower case.
 */
pci?: string
/**
 * UUID of a mediated device, lower case, as under /sys/bus/mdev/devices.
 */
mdev?: string
/**
 * Its id in the context.
 */
devId: number
}
/**
 * How the model of the host behaves. Never written by a snapshot.
 */
export interface SimulationDocument {
latencyMs?: LatencyDocument
/**
 * Calls that fail, or do not return.
 * 
 * @maxItems 1024
 */
faults?: FaultDocument[]
}
/**
 * How long calls take, in milliseconds.
 */
export interface LatencyDocument {
/**
 * VFIO_DEVICE_BIND_IOMMUFD.
 */
bind?: number
/**
 * Closing a bound device.
 */
close?: number
/**
 * VFIO_DEVICE_ATTACH_IOMMUFD_PT.
 */
attach?: number
/**
 * IOMMU_HWPT_ALLOC.
 */
alloc?: number
}
/**
 * One fault: an errno, a late return, or both.
 */
export interface FaultDocument {
/**
 * Name of the ioctl, or `close`; `bind` and `unbind` of a driver.
 */
call: string
/**
 * PCI address of a function, as `lspci -D` and sysfs write it: domain:bus:device.function, hex in lower case.
 */
pci?: string
/**
 * The first call that fails, counted from 1. Default: 1.
 */
nth?: number
/**
 * How many fail. Default: 1.
 */
times?: number
/**
 * The errno by name. Without it, a call that returns late does then what it does otherwise.
 */
errno?: string
/**
 * The call is in the kernel this long, in milliseconds, and keeps the lock of its dev_set meanwhile. Only for calls that can sleep: BIND, attach, detach, alloc, destroy, `close`, `bind`, `unbind`.
 */
returnsAfterMs?: number
/**
 * The call is in the kernel for ever. For the same calls as `returnsAfterMs`.
 */
neverReturns?: true
}
