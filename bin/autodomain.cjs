#!/usr/bin/env node
// The size of libuv's thread pool is fixed when the pool starts, which the loader of ES modules
// does: so it is set here, before the first import. Calls that reset a device sleep on the pool.
process.env.UV_THREADPOOL_SIZE ??= '32';
const main = require('node:path').join(__dirname, '..', 'dist', 'cli', 'bin.js');
if (require('node:fs').existsSync(main)) {
  import(require('node:url').pathToFileURL(main).href);
} else {
  process.stderr.write('autodomain is not built: run `npm run build` first\n');
  process.exitCode = 1;
}
