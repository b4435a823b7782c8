/** The conformance suite over mock devices on the kernel that runs, and what only a kernel can leak: pins. */
import { afterAll, expect } from 'vitest';
import { openIommufd } from '../../../src/kernel/iommufd.ts';
import { nativeSyscalls } from '../../../src/kernel/native/syscalls.ts';
import { mockTarget } from '../../conformance/mock-target.ts';
import { mockConformance } from '../../conformance/suite.ts';
import { alignedMemory } from '../fuzz-lab.ts';
import { callMock } from '../mock-call.ts';
import { MOCK_OPS } from '../mock-uapi.ts';

const MEMORY_BYTES = 128 * 1024;
const native = nativeSyscalls();
const memory = alignedMemory(MEMORY_BYTES);

// Every case has closed its contexts by now, most of them with mappings alive.
afterAll(async () => {
  const iommufd = openIommufd(native);
  const pinned = { length: BigInt(memory.length), uptr: memory, refs: 0 };
  expect(() => callMock(native, iommufd, MOCK_OPS.MD_CHECK_REFS, pinned)).not.toThrow();
  await native.slow.close(iommufd);
});

mockConformance('kernel with mock devices', () => mockTarget(native, memory));
