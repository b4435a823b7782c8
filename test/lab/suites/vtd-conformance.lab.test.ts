/** The conformance suite on the kernel that runs. */
import { afterAll } from 'vitest';
import { openSignalLine } from '../../../src/kernel/native/eventfd.ts';
import { Poller } from '../../../src/kernel/native/poll.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { conformance } from '../../conformance/suite.ts';
import { bindVfio, createMdev, functions, mdevCdev, rootEdus } from '../guest.ts';

const MDEV = '11111111-2222-3333-4444-555555555555';

const poller = new Poller();

afterAll(() => poller.close());

conformance('kernel', () => {
  const [a, b] = rootEdus().map(bindVfio);
  // The second bridge has two edu functions and nothing else behind it.
  const [c, d] = functions('1234', '11e8').slice(-2).map(bindVfio);
  createMdev(MDEV);
  if (!a || !b || !c || !d) throw new Error('the lab lacks devices');
  return {
    syscalls: nativeSyscalls(),
    single: [a, b],
    mates: [c, d],
    mdev: mdevCdev(MDEV),
    openSignalLine: (onSignal) => openSignalLine(poller, onSignal),
    tracks: false,
  };
});
