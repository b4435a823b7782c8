/** A kernel with iommufd's selftest, real or simulated, as a target of the conformance suite. */
import type { DevId } from '../../src/base/ids.ts';
import { allocIoas } from '../../src/kernel/iommufd.ts';
import type { Syscalls } from '../../src/kernel/port.ts';
import { callMock } from '../lab/mock-call.ts';
import { MOCK_OPS } from '../lab/mock-uapi.ts';
import type { Target } from './rig.ts';

/** The mock on a port: each device that is made has an IOAS of its own at first. */
export function mockTarget(syscalls: Syscalls, memory: Uint8Array): Target {
  return {
    syscalls,
    single: null,
    mates: null,
    mdev: null,
    tracks: true,
    memory,
    plug(iommufd) {
      const parking = allocIoas(syscalls, iommufd);
      const { idev_id } = callMock(syscalls, iommufd, MOCK_OPS.MOCK_DOMAIN, { id: parking });
      return idev_id as DevId;
    },
  };
}
