// A finished run as a table for the terminal, as JSON, and as the marked section of README.md.

import Table from 'cli-table3';
import type { Machine } from './machine.ts';
import { type Figure, format } from './samples.ts';

export interface Measured {
  name: string;
  title: string;
  figures: Figure[];
  /** Sentences that belong below them. */
  remarks?: string[];
}

export interface Report {
  /** ISO 8601, UTC. */
  startedAt: string;
  version: string;
  command: string;
  machine: Machine;
  runs: number;
  seconds: number;
  warmupSeconds: number;
  scenarios: Measured[];
}

const BEGIN = '<!-- results:begin -->';
const END = '<!-- results:end -->';

/** One scenario as a table for a terminal. */
export function toTable({ title, figures, remarks = [] }: Measured): string {
  const noted = hasNotes(figures);
  const table = new Table({
    head: ['', 'median', 'min – max', '', 'x 28,000/s', ...(noted ? [''] : [])],
    colAligns: ['left', 'right', 'right', 'left', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const each of figures) table.push(cells(each, noted));
  return `${[title, table.toString(), ...remarks].join('\n')}\n`;
}

const hasNotes = (figures: readonly Figure[]): boolean =>
  figures.some(({ note, absent }) => (note ?? absent) !== undefined);

function cells(figure: Figure, noted: boolean): string[] {
  const { name, unit, median, min, max, multipleOf28k, note = '', absent } = figure;
  if (absent !== undefined) return [name, '–', '', '', '', absent];
  return [
    name,
    format(median, unit),
    min === max ? '' : `${format(min, unit)} – ${format(max, unit)}`,
    unit === 'ratio' || unit === 'count' ? '' : unit,
    multipleOf28k === undefined ? '' : multipleOf28k.toFixed(1),
    ...(noted ? [note] : []),
  ];
}

/** Machine, command and tables in Markdown. */
export function toMarkdown(report: Report): string {
  const { machine } = report;
  const busy = machine.loadBefore > 0.5 ? ' — **others were working too**' : '';
  const lines = [
    `Measured ${report.startedAt.slice(0, 10)} with ThrustMQ ${report.version}, ` +
      `\`${report.command}\`: median of ${report.runs} samples of ${report.seconds} s ` +
      `after ${report.warmupSeconds} s of warm-up.`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.kernel}; ` +
      `Node.js ${machine.node}; ${machine.filesystem}; load before the run ` +
      `${machine.loadBefore.toFixed(2)}${busy}.`,
  ];
  for (const { title, figures, remarks = [] } of report.scenarios) {
    const noted = hasNotes(figures);
    lines.push('', `**${title[0].toUpperCase()}${title.slice(1)}**`, '');
    lines.push(`| | median | min – max | | × 28,000/s |${noted ? ' |' : ''}`);
    lines.push(`| --- | ---: | ---: | --- | ---: |${noted ? ' --- |' : ''}`);
    for (const figure of figures) lines.push(`| ${cells(figure, noted).join(' | ')} |`);
    if (remarks.length > 0) lines.push('', ...remarks.map((remark) => `- ${remark}`));
  }
  return lines.join('\n');
}

/**
 * Replaces the marked section of a README.
 * @throws Error when the marks are not there.
 */
export function replaceResults(readme: string, results: string): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${BEGIN} … ${END} is missing`);
  return `${readme.slice(0, from + BEGIN.length)}\n\n${results}\n\n${readme.slice(to)}`;
}
