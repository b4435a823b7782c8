/** One HWPT allocation with its note in the journal; the caller holds the context's exclusive right. */
import type { DeviceKey, HwptId, IoasId } from '../../base/ids.ts';
import type { ObjectRef } from '../../graph/types.ts';
import { allocHwpt } from '../../kernel/iommufd.ts';
import { HWPT_ALLOC_DIRTY_TRACKING, HWPT_ALLOC_NEST_PARENT } from '../../kernel/uapi/iommufd.ts';
import type { HwptFlags } from '../../steps/def.ts';
import { contextFd, heldDevice, type RunContext, resolved } from './context.ts';

/** What to allocate, and for which bound device. */
export interface Allocation {
  readonly context: string;
  readonly container: string;
  readonly ioas: ObjectRef;
  readonly hwpt: ObjectRef;
  readonly flags: HwptFlags;
  readonly iommu: string | null;
  readonly device: DeviceKey;
}

/** Allocates the HWPT and returns its id. Throws KernelError: EOPNOTSUPP without the capability, EADDRINUSE outside the aperture. */
export async function allocateFor(run: RunContext, allocation: Allocation): Promise<HwptId> {
  const { context, container, flags, iommu } = allocation;
  const id = await allocHwpt(run.syscalls, contextFd(run, context), {
    devId: heldDevice(run, context, allocation.device).devId,
    ptId: resolved<IoasId>(run, context, allocation.ioas),
    flags:
      (flags.dirtyTracking ? HWPT_ALLOC_DIRTY_TRACKING : 0) |
      (flags.nesting ? HWPT_ALLOC_NEST_PARENT : 0),
  });
  run.journal.record(context, {
    kind: 'hwpt-allocated',
    container,
    ref: allocation.hwpt,
    hwpt: {
      id,
      dirtyTracking: flags.dirtyTracking ? 'capable' : 'none',
      nesting: flags.nesting,
      iommu,
    },
  });
  return id;
}
