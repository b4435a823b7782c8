// Records sizes, offsets and request numbers of the ioctl structs as a C compiler sees them in
// Debian's kernel headers. With --check: fails when the record is not what the compiler says.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALL_OPS } from '../dist/kernel/uapi/index.js';
import { compileC, kernelHeaders } from './c-compiler.mjs';

const RECORD = new URL('../test/uapi/layout.json', import.meta.url);

/** Reserved bytes that the header declares as an array are one field each in the table. */
const ARRAYS = {
  iommu_hw_info: {
    __reserved_0: '__reserved[0]',
    __reserved_1: '__reserved[1]',
    __reserved_2: '__reserved[2]',
  },
};

const headers = kernelHeaders();
const text = `${JSON.stringify(compile(headers), null, 2)}\n`;
if (process.argv.includes('--check')) {
  const recorded = existsSync(RECORD) ? readFileSync(RECORD, 'utf8') : '';
  const differs =
    JSON.stringify(JSON.parse(recorded).structs) !== JSON.stringify(JSON.parse(text).structs);
  if (differs) {
    console.error(
      `the record of struct layouts differs from ${headers}; run \`npm run layout\` and look at the difference`,
    );
    process.exitCode = 1;
  } else console.log(`layouts agree with ${headers}`);
} else writeFileSync(RECORD, text);

function compile(dir) {
  const work = mkdtempSync(join(tmpdir(), 'autodomain-layout-'));
  writeFileSync(join(work, 'layout.c'), program());
  compileC(join(work, 'layout.c'), join(work, 'layout'));
  const output = execFileSync(join(work, 'layout'), { encoding: 'utf8' });
  rmSync(work, { recursive: true });
  return { headers: dir.replace('/usr/src/', '').split('/')[0], structs: JSON.parse(output) };
}

function program() {
  const lines = Object.values(ALL_OPS).map(({ name, struct }) => {
    const fields = struct.fields.map(({ name: field }) => {
      const member = ARRAYS[struct.name]?.[field] ?? field;
      return `  printf("\\"${field}\\": [%zu, %zu]%s", offsetof(struct ${struct.name}, ${member}), sizeof(((struct ${struct.name} *)0)->${member}), "${field === struct.fields.at(-1).name ? '' : ', '}");`;
    });
    const size = struct.fields.length === 0 ? '0ul' : `sizeof(struct ${struct.name})`;
    return [
      `  printf("\\"${name}\\": {\\"request\\": %lu, \\"size\\": %zu, \\"fields\\": {", (unsigned long)${name}, (size_t)${size});`,
      ...fields,
      '  printf("}}");',
    ].join('\n');
  });
  return `#include <stdio.h>\n#include <stddef.h>\n#include <linux/iommufd.h>\n#include <linux/vfio.h>\nint main(void) {\n  printf("{");\n${lines.join('\n  printf(", ");\n')}\n  printf("}");\n  return 0;\n}\n`;
}
