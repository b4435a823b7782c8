/** Colour for people: `--color`, then NO_COLOR and FORCE_COLOR, then whether stdout is a terminal. */
import type { Span } from '../plan/format-text.ts';
import type { Io } from './io.ts';

/** The values of `--color`. */
export type ColourChoice = 'auto' | 'always' | 'never';

const CODES: Readonly<Record<Span['tone'], string>> = {
  plain: '',
  title: '1',
  add: '32',
  change: '33',
  remove: '31',
  warn: '33',
  dim: '2',
};

/** True where output is to be coloured. */
export function wantsColour(choice: ColourChoice, io: Io): boolean {
  if (choice !== 'auto') return choice === 'always';
  if (io.env['NO_COLOR']) return false;
  if (io.env['FORCE_COLOR']) return true;
  return io.isTerminal.stdout;
}

/** Lines of spans as text, with a newline at the end. */
export function render(lines: readonly (readonly Span[])[], colour: boolean): string {
  const text = lines.map((line) =>
    line
      .map(({ text, tone }) => paint(text, CODES[tone], colour))
      .join('')
      .trimEnd(),
  );
  return `${text.join('\n')}\n`;
}

function paint(text: string, code: string, colour: boolean): string {
  return colour && code !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
}
