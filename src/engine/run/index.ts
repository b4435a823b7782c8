/** The runner of every kind of step. A kind without one does not compile. */
import type { Action, StepKind } from '../../steps/def.ts';
import { attachDevice, detachDevice } from './attach-device.ts';
import { closeContext } from './close-context.ts';
import { closeDevice } from './close-device.ts';
import type { RunContext, Runner, StepDetail } from './context.ts';
import { bindDriver, releaseDriver } from './driver.ts';
import { allocHwpt, destroyHwpt, setDirtyTracking } from './hwpt.ts';
import { allocIoas, allowIovas, destroyIoas, setHugePages } from './ioas.ts';
import { openContext } from './open-context.ts';
import { openDevice } from './open-device.ts';
import { renameContainer } from './rename-container.ts';

const RUNNERS: { readonly [K in StepKind]: Runner<K> } = {
  'rename-container': renameContainer,
  'open-context': openContext,
  'bind-driver': bindDriver,
  'release-driver': releaseDriver,
  'open-device': openDevice,
  'alloc-ioas': allocIoas,
  'set-huge-pages': setHugePages,
  'allow-iovas': allowIovas,
  'alloc-hwpt': allocHwpt,
  'attach-device': attachDevice,
  'set-dirty-tracking': setDirtyTracking,
  'detach-device': detachDevice,
  'destroy-hwpt': destroyHwpt,
  'destroy-ioas': destroyIoas,
  'close-device': closeDevice,
  'close-context': closeContext,
};

/**
 * Does the action to the kernel. The intent is written down first. Throws KernelError or SyscallError; and
 * StuckError where a call is past its deadline, after which the action goes on and its intent stays open.
 */
export async function runAction(action: Action, run: RunContext): Promise<StepDetail | undefined> {
  const intent = run.journal.begin(action);
  const runner = RUNNERS[action.kind] as unknown as Runner<StepKind>;
  const work = async (hands: RunContext): Promise<StepDetail | undefined> => {
    try {
      return await runner(action.args, hands);
    } finally {
      run.journal.end(intent);
    }
  };
  return run.calls === null ? work(run) : run.calls.watch(action, run, work);
}
