// How long a large config takes to read, beside the YAML parser alone.
import { parseAllDocuments } from 'yaml';
import { largeConfig, largeHost, parsed } from '../host.mjs';

const text = largeConfig(largeHost(20_000));

export const figures = [
  {
    id: 'read-20000',
    unit: 'ms',
    n: 5,
    what: '20000 devices in 2000 containers read, checked and resolved',
    against: 'parsing the same text as YAML',
    async measure() {
      const start = performance.now();
      parseAllDocuments(text);
      const middle = performance.now();
      await parsed(text);
      return { baseline: middle - start, value: performance.now() - middle };
    },
  },
];
