// Prints figures, each beside a baseline that is measured in the same run. `-o json` prints one object
// a figure; words after it choose figures by the beginning of their id. Figures inform, they never fail.
import { readdirSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

const args = process.argv.slice(2);
const json = args[0] === '-o' && args[1] === 'json';
const wanted = json ? args.slice(2) : args;

const figures = [];
for (const file of readdirSync(new URL('figures/', import.meta.url)).sort()) {
  const { figures: own } = await import(new URL(`figures/${file}`, import.meta.url));
  figures.push(
    ...own.filter(({ id }) => wanted.length === 0 || wanted.some((word) => id.startsWith(word))),
  );
}

if (!json) {
  console.log(
    `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux, Node ${process.version}`,
  );
}
for (const { id, unit, n, what, against, measure } of figures) {
  const values = [];
  const baselines = [];
  await measure();
  for (let i = 0; i < n; i += 1) {
    const { value, baseline } = await measure();
    values.push(value);
    baselines.push(baseline);
  }
  const value = median(values);
  const baseline = median(baselines);
  const ratio = baseline === 0 ? null : value / baseline;
  const spread = [Math.min(...values), Math.max(...values)];
  if (json)
    console.log(JSON.stringify({ id, what, value, unit, baseline, against, ratio, n, spread }));
  else {
    const shown = `${format(value)} ${unit}`.padEnd(14);
    const beside =
      ratio === null ? '' : `${ratio.toFixed(2)} x ${against} (${format(baseline)} ${unit})`;
    console.log(
      `${id.padEnd(18)} ${shown} ${beside}; n ${n}, ${format(spread[0])} to ${format(spread[1])}: ${what}`,
    );
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function format(value) {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(2);
}
