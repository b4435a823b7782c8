// How long `validate` of an example takes from the shell, beside an empty Node.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/autodomain.cjs', import.meta.url));
const example = fileURLToPath(new URL('../../examples/two-vfs/config', import.meta.url));

function ms(...args) {
  const start = performance.now();
  execFileSync(process.execPath, args, { stdio: 'ignore' });
  return performance.now() - start;
}

export const figures = [
  {
    id: 'start-validate',
    unit: 'ms',
    n: 15,
    what: '`validate` of an example, from the shell',
    against: '`node -e 0`',
    measure: async () => ({ baseline: ms('-e', '0'), value: ms(bin, 'validate', example) }),
  },
];
