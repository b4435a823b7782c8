/** The conformance suite on the kernel that runs. */
import { afterAll } from 'vitest';
import { openSignalLine } from '../../../src/kernel/native/eventfd.ts';
import { Poller } from '../../../src/kernel/native/poll.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { conformance } from '../../conformance/suite.ts';
import { alignedMemory } from '../fuzz-lab.ts';
import { bindVfio, createMdev, functions, groupOf, mdevCdev, rootEdus } from '../guest.ts';

const MEMORY_BYTES = 128 * 1024;
const MDEV = '11111111-2222-3333-4444-555555555555';

const poller = new Poller();

afterAll(() => poller.close());

conformance('kernel', () => {
  const native = nativeSyscalls();
  const [first, second] = rootEdus();
  if (!first || !second) throw new Error('the lab lacks devices');
  const [a, b] = [bindVfio(first), bindVfio(second)];
  // The second bridge has two edu functions and nothing else behind it.
  const [c, d] = functions('1234', '11e8').slice(-2).map(bindVfio);
  createMdev(MDEV);
  if (!c || !d) throw new Error('the lab lacks devices');
  return {
    syscalls: native,
    single: [a, b],
    mates: [c, d],
    mdev: mdevCdev(MDEV),
    openSignalLine: (onSignal) => openSignalLine(poller, onSignal),
    tracks: false,
    memory: alignedMemory(MEMORY_BYTES),
    holdGroup(cdev) {
      const held = native.open(`/dev/vfio/${groupOf(cdev === a ? first : second)}`);
      return () => native.slow.close(held);
    },
  };
});
