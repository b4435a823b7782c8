import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '/run/tmp/vitest',
  test: {
    include: [
      `test/lab/suites/${process.env['LAB_BOOT'] ?? 'none'}-${process.env['LAB_SUITE'] ?? '*'}.lab.test.ts`,
    ],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    // The devices of a guest are one set: suites take turns.
    fileParallelism: false,
    isolate: false,
  },
});
