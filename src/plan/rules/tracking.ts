/** Dirty tracking and nesting are requirements: a device that cannot give them blocks its container. */

import { dirtyBlocker } from '../need.ts';
import type { Blocker } from '../types.ts';
import { iommuOf } from '../world.ts';
import type { Rule } from './rule.ts';

/** Blocks containers with a device that lacks a required capability. */
export const tracking: Rule = ({ graph, wanted }) =>
  wanted.flatMap(({ spec, devices }) =>
    devices.flatMap((device): readonly Blocker[] => {
      const iommu = iommuOf(graph, device);
      const cause = dirtyBlocker(spec, device, iommu);
      if (cause !== null) return [{ ...cause, container: spec.name }];
      if (spec.nesting && iommu?.nesting === 'no') {
        const { name } = iommu;
        return [
          { kind: 'nesting-unsupported', container: spec.name, device: device.key, iommu: name },
        ];
      }
      return [];
    }),
  );
