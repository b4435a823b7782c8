// Prints figures, each beside a baseline that is measured in the same run. `-o json` prints one object
// a figure; words after it choose figures by the beginning of their id. Figures inform, they never fail.
// Those that need a kernel with iommufd boot a guest, and run only when asked for: by id, or by `lab`.
import { readdirSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const args = process.argv.slice(2);
const json = args[0] === '-o' && args[1] === 'json';
const wanted = json ? args.slice(2) : args;

const figures = [];
for (const file of readdirSync(new URL('figures/', import.meta.url)).sort()) {
  const { figures: own } = await import(new URL(`figures/${file}`, import.meta.url));
  figures.push(...own.filter(isWanted));
}

if (!json) {
  console.log(
    `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
  );
}
for (const figure of figures) {
  const result = resultOf(figure, await (figure.collect ?? sampled)(figure));
  console.log(json ? JSON.stringify(result) : textOf(result));
}

function isWanted({ id, lab = false }) {
  if (wanted.length === 0) return !lab;
  return wanted.some((word) => id.startsWith(word) || (lab && word === 'lab'));
}

/** Measures once for nothing, then n times. */
async function sampled({ n, measure }) {
  const values = [];
  const baselines = [];
  await measure();
  for (let i = 0; i < n; i += 1) {
    const { value, baseline } = await measure();
    values.push(value);
    baselines.push(baseline);
  }
  return { values, baselines };
}

/** `beside` and `parts`, where a figure has them, are further medians in its unit. */
function resultOf({ id, what, unit, against }, { values, baselines, beside, parts }) {
  const value = median(values);
  const baseline = median(baselines);
  return {
    id,
    what,
    value,
    unit,
    baseline,
    against,
    ratio: baseline === 0 ? null : value / baseline,
    n: values.length,
    spread: [Math.min(...values), Math.max(...values)],
    ...(beside && { beside: medians(beside) }),
    ...(parts && { parts: medians(parts) }),
  };
}

function textOf({ id, what, value, unit, baseline, against, ratio, n, spread, beside, parts }) {
  const shown = `${format(value)} ${unit}`.padEnd(14);
  const ratioText =
    ratio === null ? '' : `${ratio.toFixed(2)} x ${against} (${format(baseline)} ${unit})`;
  const list = (title, more = {}) =>
    Object.entries(more).map(
      ([name, each]) => `\n${' '.repeat(19)}${title} ${name}: ${format(each)} ${unit}`,
    );
  return `${id.padEnd(18)} ${shown} ${ratioText}; n ${n}, ${format(spread[0])} to ${format(spread[1])}: ${what}${[...list('beside', beside), ...list('part', parts)].join('')}`;
}

function medians(lists) {
  return Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, median(list)]));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function format(value) {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(2);
}
