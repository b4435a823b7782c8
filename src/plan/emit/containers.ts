/** Steps that make, change, rename and end contexts and IOASes. */

import { sameRanges } from '../../base/iova.ts';
import { newRef } from '../../graph/refs.ts';
import type { ObjectRef } from '../../graph/types.ts';
import type { Removal } from '../scope.ts';
import { formatPlace } from '../text.ts';
import { contextsThatEnd } from '../world.ts';
import { type Emitter, type PlacedContainer, TOKENS } from './emitter.ts';

/** The IOAS of a container, live or to be made. */
export function ioasRef({ wanted }: PlacedContainer): ObjectRef {
  return wanted.live?.ioas ?? newRef(`${wanted.spec.name}.ioas`);
}

/** Emits the renames that `formerly` asks for. */
export function emitRenames(emitter: Emitter): void {
  for (const rename of emitter.world.scope.renames) {
    const { to, from, toContext } = rename.args;
    const cell = emitter.cells.ofContainer(to);
    if (!emitter.isOpen(cell)) continue;
    emitter.add(rename, {
      cell,
      container: to,
      why: `${to} was formerly ${from}`,
      lane: emitter.lanes.ofContext(toContext),
      gives: [TOKENS.contextOpen(toContext)],
    });
  }
}

/** Emits the contexts that wanted containers lack. */
export function emitContexts(emitter: Emitter): void {
  const opened = new Set<string>();
  for (const { wanted, cell } of emitter.containers) {
    const { context, name } = wanted.spec;
    if (opened.has(context) || emitter.world.graph.contexts.has(context)) continue;
    opened.add(context);
    emitter.add(
      { kind: 'open-context', args: { context } },
      {
        cell,
        container: name,
        why: `no context ${context} is held`,
        lane: emitter.lanes.ofContext(context),
        gives: [TOKENS.contextOpen(context)],
      },
    );
  }
}

/** Emits the IOAS of a container and the options that must be set before a device comes. */
export function emitIoas(emitter: Emitter, placed: PlacedContainer): void {
  const { wanted, cell } = placed;
  const { name: container, context, iova, deletion, place } = wanted.spec;
  const ioas = ioasRef(placed);
  const placing = { cell, container, lane: emitter.lanes.ofContext(context) };
  const ready = [TOKENS.ioasReady(context, container)];
  if (wanted.live === null) {
    emitter.add(
      { kind: 'alloc-ioas', args: { context, container, ioas, deletion } },
      {
        ...placing,
        why: `${container} is new (${formatPlace(place)})`,
        needs: [TOKENS.contextOpen(context)],
        gives: [`${ioas} exists`, TOKENS.ioasesExist(cell), ...ready],
      },
    );
  }
  if ((wanted.live?.hugePages ?? true) !== iova.hugePages) {
    emitter.add(
      { kind: 'set-huge-pages', args: { context, container, ioas, hugePages: iova.hugePages } },
      {
        ...placing,
        why: `iova.hugePages is ${iova.hugePages}`,
        needs: [`${ioas} exists`, TOKENS.gone(context, container)],
        gives: ready,
      },
    );
  }
  const before = wanted.live?.allow ?? [];
  if (!sameRanges(before, iova.allow)) {
    emitter.add(
      { kind: 'allow-iovas', args: { context, container, ioas, ranges: iova.allow, before } },
      {
        ...placing,
        why: 'iova.allow changed',
        needs: [`${ioas} exists`, TOKENS.allowChangeable(container)],
        gives: ready,
      },
    );
  }
}

/** Emits the end of a container whose page tables are freed. */
export function emitRemovedIoas(emitter: Emitter, removal: Removal): void {
  const { context, container } = removal;
  emitter.add(
    { kind: 'destroy-ioas', args: { context, container: container.name, ioas: container.ioas } },
    {
      cell: emitter.cells.ofContext(context),
      container: container.name,
      why: removalReason(removal),
      lane: emitter.lanes.ofContext(context),
      needs: [TOKENS.gone(context, container.name), TOKENS.left(context, container.ioas)],
      gives: [TOKENS.emptied(context)],
    },
  );
}

/** Why a container goes, in words. */
export function removalReason({ container, why }: Removal): string {
  switch (why) {
    case 'absent':
      return `${container.name} is to be absent`;
    case 'vanished':
      return `${container.name} is no longer in the config`;
    case 'moved':
      return `${container.name} goes to another context`;
  }
}

/** Emits the end of every context in which nothing is left. */
export function emitClosedContexts(emitter: Emitter): void {
  for (const context of contextsThatEnd(emitter.world)) {
    const cell = emitter.cells.ofContext(context);
    if (!emitter.isOpen(cell)) continue;
    emitter.add(
      { kind: 'close-context', args: { context } },
      {
        cell,
        container: null,
        why: 'nothing is left in it',
        lane: emitter.lanes.ofContext(context),
        needs: [TOKENS.emptied(context)],
      },
    );
  }
}
