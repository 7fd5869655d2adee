// Charts over uPlot: one look, one cursor and one zoom for all that are shown together, by mouse
// and by keys. The canvas says nothing to a screen reader, so each chart has its newest values as
// text beside its title, and what a zoom shows is said.

import './language.ts';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Series, SeriesName } from './series.ts';

export interface Line {
  name: SeriesName;
  label: string;
  /** Number of a colour, 1 to 4. */
  color: number;
}

/** A value that the lines are to stay below; drawn as a dashed line. */
export interface Bound {
  label: string;
  value: number;
}

interface ChartProps {
  title: string;
  lines: Line[];
  bound?: Bound | undefined;
  series: Series;
  seconds: number;
  /** Changes with each new row. */
  rows: number;
  format: (value: number) => string;
  /** Ticks stand at powers of two. */
  isBytes?: boolean;
  /** Changes with the colours of the page. */
  theme: string;
}

/** Part of the time, in seconds since 1970. */
interface Range {
  min: number;
  max: number;
}

const HEIGHT = 148;
const SYNC_KEY = 'thrustmq';
/** Id of the text that says which keys a chart takes. */
export const KEYS_TEXT = 'chart-keys';
const SECONDS_MIN = 4;
const STEP = 0.25; // of what is shown
const together = new Set<uPlot>();
let zoom: Range | undefined;
const onZoom = new Set<() => void>();

/** Shows all of the time again, in every chart. */
export function resetZoom(): void {
  setZoom(undefined);
}

/** The part of the time that the charts show; undefined: all of it. */
export function useZoom(): Range | undefined {
  const [shown, show] = useState(zoom);
  useEffect(() => {
    const changed = () => show(zoom);
    onZoom.add(changed);
    return () => void onZoom.delete(changed);
  }, []);
  return shown;
}

function allOfTime(chart: uPlot): Range {
  const times = chart.data[0];
  return { min: times[0] ?? 0, max: times.at(-1) ?? 1 };
}

/** What a key does to the zoom; false: nothing. */
function zoomByKey(key: string, chart: uPlot): boolean {
  const all = allOfTime(chart);
  const now = zoom ?? all;
  const span = now.max - now.min;
  const show = (middle: number, seconds: number): void => {
    const min = Math.max(all.min, Math.min(all.max - seconds, middle - seconds / 2));
    setZoom(seconds >= all.max - all.min ? undefined : { min, max: min + seconds });
  };
  const middle = (now.min + now.max) / 2;
  if (key === '+' || key === '=') show(middle, Math.max(SECONDS_MIN, span / 2));
  else if (key === '-') show(middle, span * 2);
  else if (key === 'ArrowLeft') show(middle - span * STEP, span);
  else if (key === 'ArrowRight') show(middle + span * STEP, span);
  else if (key === 'Escape' && zoom !== undefined) resetZoom();
  else return false;
  return true;
}

function setZoom(next: typeof zoom): void {
  zoom = next;
  for (const chart of together) {
    chart.setScale('x', next ?? allOfTime(chart));
  }
  for (const changed of onZoom) changed();
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const BYTE_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

function optionsOf({ lines, bound, format, isBytes }: ChartProps, width: number): uPlot.Options {
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      sync: { key: SYNC_KEY },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
    },
    scales: { x: { time: true }, y: { range: (_chart, _min, max) => [0, (max || 1) * 1.1] } },
    axes: [
      { ...axis, size: 26, values: '{HH}:{mm}:{ss}', space: 70 },
      {
        ...axis,
        size: 64,
        ...(isBytes ? { incrs: BYTE_STEPS } : {}),
        space: 36,
        values: (_chart, ticks) => ticks.map((tick) => format(tick)),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: color(`--chart-${line.color}`),
        width: 1.5,
        points: { show: false },
      })),
      ...(bound === undefined
        ? []
        : [
            {
              label: bound.label,
              stroke: color('--muted'),
              width: 1.5,
              dash: [6, 4],
              points: { show: false },
            },
          ]),
    ],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width: chosen } = chart.select;
          if (chosen < 4) return;
          const [min, max] = [chart.posToVal(left, 'x'), chart.posToVal(left + chosen, 'x')];
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          setZoom({ min, max });
        },
      ],
    },
  };
}

/** One chart with its title and the newest values of its lines. */
export function Chart(props: ChartProps) {
  const { title, lines, bound, series, seconds, rows, format, theme } = props;
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot>(null);
  const names = lines.map(({ name }) => name);
  const columns = (): uPlot.AlignedData => {
    const [times = [], ...values] = series.columns(names, seconds);
    const line = bound === undefined ? [] : [times.map(() => bound.value)];
    return [times, ...values, ...line] as uPlot.AlignedData;
  };
  const hasBound = bound !== undefined;
  // Its lines and its format never change.
  useEffect(() => {
    const place = box.current!;
    const chart = new uPlot(optionsOf(props, place.clientWidth || 300), [[]], place);
    chart.over.addEventListener('dblclick', resetZoom);
    drawn.current = chart;
    together.add(chart);
    const sizes = new ResizeObserver(() => {
      chart.setSize({ width: place.clientWidth, height: HEIGHT });
    });
    sizes.observe(place);
    return () => {
      sizes.disconnect();
      together.delete(chart);
      chart.destroy();
    };
  }, [theme, hasBound]);
  // A change of rows stands for new ones in the series.
  useEffect(() => {
    const chart = drawn.current;
    chart?.setData(columns(), zoom === undefined);
    if (zoom !== undefined) chart?.redraw();
  }, [rows, seconds, theme, bound?.value]);
  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || drawn.current === null) return;
    if (zoomByKey(event.key, drawn.current)) event.preventDefault();
  };
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        {lines.map((line) => (
          <span key={line.name} class="legend">
            <span class={`swatch color-${line.color}`} />
            {line.label} <b>{format(series.last(line.name))}</b>
          </span>
        ))}
        {bound !== undefined && (
          <span class="legend">
            <span class="swatch dashed" />
            {bound.label} <b>{format(bound.value)}</b>
          </span>
        )}
      </figcaption>
      <div
        class="keyed"
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: screen readers leave the keys to it
        tabIndex={0}
        aria-label={`Zoom of ${title}`}
        aria-describedby={KEYS_TEXT}
        onKeyDown={pressed}
      >
        <div ref={box} class="plot" aria-hidden="true" />
      </div>
    </figure>
  );
}
