// Removes dist/, so that a file that was renamed in src/ does not live on there.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
