/** `autodomain doctor`: is this kernel and host fit. */
import { EXIT } from '../../base/errors.ts';
import { examine, examineConfig, type Finding, isFit } from '../../engine/doctor.ts';
import { observeHost } from '../../engine/host.ts';
import type { Span, SpanLine } from '../../plan/format-text.ts';
import { render, wantsColour } from '../colour.ts';
import { loadConfig } from '../inputs.ts';
import { type HostOptions, openHost } from '../machine.ts';
import {
  type ColourOption,
  colourOption,
  declareHost,
  type OutputOption,
  outputOption,
} from '../options.ts';
import { defineVerb } from '../verb.ts';

type Options = HostOptions & OutputOption & ColourOption;

/** The verb `doctor`. */
export const doctor = defineVerb<Options>({
  name: 'doctor',
  summary: 'Says what this kernel and host lack, and what to do about each. Exit 0: fit, 69: not.',
  examples: [
    ['autodomain doctor', 'before the first plan'],
    ['autodomain doctor config/', 'and what this config would meet here'],
    ['autodomain doctor --host host.yaml', 'for a host that a file describes'],
  ],
  declare(command) {
    declareHost(command.argument('[path...]')).addOption(outputOption()).addOption(colourOption());
  },
  async act(paths, options, io) {
    const config = paths.length === 0 ? null : loadConfig(paths, io).config;
    const host = await openHost(options, io, 'sysfs');
    const { graph } = observeHost(host);
    const findings = [
      ...(await examine(host.syscalls, graph)),
      ...(config === null ? [] : examineConfig(config, graph)),
    ];
    const fit = isFit(findings);
    if (options.output === 'json') {
      const document = { formatVersion: '1.0', kind: 'Diagnosis', host: graph.host, fit, findings };
      io.stdout(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      const last = [{ text: fit ? 'fit' : 'not fit: see `fail` above', tone: 'title' as const }];
      const lines = [...findings.flatMap(linesOf), [], last];
      io.stdout(render(lines, wantsColour(options.color, io)));
    }
    return fit ? EXIT.done : EXIT.unavailable;
  },
});

const TONES: Readonly<Record<Finding['status'], Span['tone']>> = {
  ok: 'add',
  warn: 'warn',
  fail: 'remove',
};

function linesOf({ check, status, text, remedy }: Finding): readonly SpanLine[] {
  const line: SpanLine = [
    { text: status.padEnd(5), tone: TONES[status] },
    { text: `${check.padEnd(16)} ${text}`, tone: 'plain' },
  ];
  return remedy === null ? [line] : [line, [{ text: `      = ${remedy}`, tone: 'dim' }]];
}
