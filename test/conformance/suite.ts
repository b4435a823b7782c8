/**
 * What iommufd and VFIO answer, as cases that run on any implementation of the port: on the simulator
 * in `npm test`, on a real kernel in the lab. Each suite ends with the errnos that it has to have
 * provoked; `coverage.ts` says which, and which are modelled, not run.
 */
import { describe, expect, it } from 'vitest';
import { contextCases } from './context-cases.ts';
import { type Provoked, provokedBy } from './coverage.ts';
import { deviceCases } from './device-cases.ts';
import { errnoCases } from './errno-cases.ts';
import { fileCases } from './file-cases.ts';
import { mockCases } from './mock-cases.ts';
import { nestedCases } from './nested-cases.ts';
import { type Rig, rigOn, type Target } from './rig.ts';

/** Declares the suite over device files for one implementation. */
export function conformance(name: string, open: () => Target): void {
  const rig = rigOn(name, open());
  contextCases(rig);
  errnoCases(rig);
  deviceCases(rig);
  fileCases(rig);
  provokes(rig, 'vfio');
}

/** Declares the suite over the selftest's mock devices. */
export function mockConformance(name: string, open: () => Target): void {
  const rig = rigOn(name, open());
  contextCases(rig);
  errnoCases(rig);
  mockCases(rig);
  nestedCases(rig);
  provokes(rig, 'mock');
}

function provokes(rig: Rig, suite: Provoked): void {
  describe(`${rig.name}: the table of errnos`, () => {
    it('has been provoked, row by row', () => {
      expect(provokedBy(suite).filter((row) => !rig.seen.has(row))).toEqual([]);
    });
  });
}
