// A finished run as a picture to hand around: horizontal bars for every rate, one panel for each
// load, in one SVG file that needs nothing else and can be read on light and on dark.

import type { Report } from './report.ts';
import { type Bar, type Figure, format } from './samples.ts';

const WIDTH = 960;
const MARGIN = 24;
const LABEL_WIDTH = 290;
const VALUE_WIDTH = 120;
const PLOT_AT = MARGIN + LABEL_WIDTH;
const PLOT_WIDTH = WIDTH - PLOT_AT - VALUE_WIDTH - MARGIN;
const ROW_HEIGHT = 38;
const BAR_HEIGHT = 16;
const PANEL_HEAD = 56;
const PANEL_FOOT = 24;
const TITLE_HEIGHT = 64;
/** Rates that are further apart than this cannot be seen beside each other on a linear scale. */
const LOG_FROM = 50;

interface Row extends Bar {
  figure: Figure;
}

interface Scale {
  /** Said below the panel's title. */
  label: string;
  ticks: number[];
  /** Where a value stands, 0 … 1. */
  at(value: number): number;
}

/** The rates of a report, panel by panel; what has no bar of its own is named by its scenario. */
function panelsOf(report: Report): Map<string, Row[]> {
  const panels = new Map<string, Row[]>();
  for (const { title, figures } of report.scenarios)
    for (const figure of figures) {
      if (figure.unit !== 'msg/s' || figure.samples.length === 0) continue;
      const named = { load: title, system: figure.name, guarantee: '', ours: true };
      const bar = figure.bar ?? named;
      panels.set(bar.load, [...(panels.get(bar.load) ?? []), { ...bar, figure }]);
    }
  return panels;
}

/** A scale over positive values: linear from 0, or logarithmic where they are far apart. */
export function scaleFor(values: readonly number[]): Scale {
  const most = Math.max(...values);
  const least = Math.min(...values.filter((value) => value > 0));
  if (most / least >= LOG_FROM) {
    const from = Math.floor(Math.log10(least));
    const to = Math.max(from + 1, Math.ceil(Math.log10(most)));
    return {
      label: 'msg/s, logarithmic scale: each line is ten times the one before',
      ticks: Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index)),
      at: (value) => (value <= 0 ? 0 : Math.max(0, (Math.log10(value) - from) / (to - from))),
    };
  }
  const step = niceStep(most / 4);
  const count = Math.ceil(most / step);
  return {
    label: 'msg/s, linear scale from 0',
    ticks: Array.from({ length: count + 1 }, (_, index) => index * step),
    at: (value) => value / (count * step),
  };
}

/** The least of 1, 2, 2.5 and 5 times a power of ten that is not below `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 2.5, 5, 10].find((one) => one * power >= least) ?? 10;
  return factor * power;
}

const STYLE = `
  svg { color-scheme: light dark; }
  text { font-family: system-ui, sans-serif; font-size: 13px; fill: #1b1f24; }
  .back { fill: #ffffff; }
  .title { font-size: 20px; font-weight: 600; }
  .load { font-size: 15px; font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  .line { stroke: #d0d7de; stroke-width: 1; }
  .ours { fill: #0b62d6; }
  .peer { fill: #8b98a8; }
  .weak { fill: #c9a227; }
  .whisker { stroke: #1b1f24; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .back { fill: #0d1117; }
    .small { fill: #9aa7b4; }
    .line { stroke: #30363d; }
    .ours { fill: #4c9aff; }
    .peer { fill: #6e7b8a; }
    .weak { fill: #b08d1e; }
    .whisker { stroke: #e6edf3; }
  }`;

/**
 * Draws the rates of a report.
 * @throws RangeError when the run has none.
 */
export function toChart(report: Report): string {
  const panels = panelsOf(report);
  if (panels.size === 0)
    throw new RangeError('there is nothing to draw: run a scenario that measures msg/s');
  const parts: string[] = [];
  let y = MARGIN + TITLE_HEIGHT;
  for (const [load, rows] of panels) {
    parts.push(panel(load, rows, y));
    y += PANEL_HEAD + rows.length * ROW_HEIGHT + PANEL_FOOT;
  }
  const foot = footLines(report);
  const height = y + foot.length * 18 + MARGIN;
  const names = [...panels.keys()].join('; ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(`ThrustMQ ${report.version}: ${names}`)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}"/>`,
    text(MARGIN, MARGIN + 16, `ThrustMQ ${report.version}, messages per second`, 'title'),
    text(
      MARGIN,
      MARGIN + 38,
      `bar: median of ${report.runs} samples of ${report.seconds} s; whisker: least to most`,
      'small',
    ),
    ...parts,
    ...foot.map((line, index) => text(MARGIN, y + 16 + index * 18, line, 'small')),
    '</svg>',
    '',
  ].join('\n');
}

function footLines({ machine, startedAt, command }: Report): string[] {
  const busy = machine.loadBefore > 0.5 ? ' (others were working too)' : '';
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.kernel}; Node.js ${machine.node}; ${machine.filesystem}`,
    `${startedAt.slice(0, 10)}; load before the run ${machine.loadBefore.toFixed(2)}${busy}`,
    command,
  ];
}

function panel(load: string, rows: readonly Row[], top: number): string {
  const scale = scaleFor(rows.flatMap(({ figure }) => figure.samples));
  const from = top + PANEL_HEAD;
  const to = from + rows.length * ROW_HEIGHT;
  const parts = [
    text(MARGIN, top + 16, load, 'load'),
    text(MARGIN, top + 34, scale.label, 'small'),
  ];
  for (const tick of scale.ticks) {
    const x = xOf(scale, tick);
    parts.push(`<line class="line" x1="${x}" y1="${from - 4}" x2="${x}" y2="${to}"/>`);
    parts.push(text(x, from - 9, short(tick), 'small', 'middle'));
  }
  for (const [index, row] of rows.entries()) parts.push(bar(row, scale, from + index * ROW_HEIGHT));
  return parts.join('\n');
}

function bar({ system, guarantee, ours, figure }: Row, scale: Scale, top: number): string {
  const { median, min, max } = figure;
  const middle = top + ROW_HEIGHT / 2;
  const weak = guarantee === 'acked before the sync';
  const kind = ours ? 'ours' : weak ? 'weak' : 'peer';
  const end = xOf(scale, median);
  const [left, right] = [xOf(scale, min), xOf(scale, max)];
  const labelY = guarantee === '' ? middle + 4 : middle - 2;
  return [
    text(PLOT_AT - 10, labelY, system, '', 'end'),
    ...(guarantee === '' ? [] : [text(PLOT_AT - 10, middle + 13, guarantee, 'small', 'end')]),
    `<rect class="${kind}" x="${PLOT_AT}" y="${middle - BAR_HEIGHT / 2}" width="${round(Math.max(1, end - PLOT_AT))}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<path class="whisker" fill="none" d="M${left} ${middle - 5}v10M${left} ${middle}H${right}M${right} ${middle - 5}v10"/>`,
    text(Math.max(end, right) + 8, middle + 4, format(median, 'msg/s')),
  ].join('\n');
}

const xOf = (scale: Scale, value: number): number => round(PLOT_AT + scale.at(value) * PLOT_WIDTH);

const round = (value: number): number => Math.round(value * 10) / 10;

/** 2,500,000 as 2.5 M. */
function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1e3 ? `${value / 1e3} k` : String(value);
}

function text(x: number, y: number, words: string, kind = '', anchor = ''): string {
  const style = kind === '' ? '' : ` class="${kind}"`;
  const where = anchor === '' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${round(y)}"${style}${where}>${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
