/** A container takes another name and keeps its context, ids and attachments: a note in the journal. */
import { draftContext } from '../graph/draft.ts';
import { defineStep } from './def.ts';

/** The step `rename-container`. */
export const renameContainer = defineStep('rename-container', {
  describe: ({ from, to }) => `rename container ${from} to ${to}`,
  disruption: () => 'none',
  kernelCalls: () => 0,
  predict({ context: name, from, to, toContext }, draft) {
    const context = draftContext(draft, name);
    const container = context.containers.get(from);
    if (container) {
      context.containers.delete(from);
      container.name = to;
      context.containers.set(to, container);
    }
    for (const [key, device] of context.devices) {
      if (device.attachment?.container === from) {
        context.devices.set(key, { key, attachment: { ...device.attachment, container: to } });
      }
    }
    draft.contexts.delete(name);
    context.name = toContext;
    draft.contexts.set(toContext, context);
  },
  undo: ({ context, from, to, toContext }) => ({
    kind: 'rename-container',
    args: { context: toContext, from: to, to: from, toContext: context },
  }),
});
