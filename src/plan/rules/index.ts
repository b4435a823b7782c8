/** All rules. A new one is a file and a line here. */
import { contexts } from './contexts.ts';
import { deviceUsable } from './device-usable.ts';
import { groups } from './groups.ts';
import { iova } from './iova.ts';
import { kernelFeatures } from './kernel-features.ts';
import { removalGuards } from './removals.ts';
import type { Rule } from './rule.ts';
import { stuck } from './stuck.ts';
import { tracking } from './tracking.ts';

/** The rules in the order in which their blockers are listed. */
export const RULES: readonly Rule[] = [
  kernelFeatures,
  contexts,
  stuck,
  deviceUsable,
  groups,
  tracking,
  iova,
  removalGuards,
];
