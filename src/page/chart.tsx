// Charts over uPlot: one look, one cursor and one zoom for all that are shown together. The canvas
// says nothing to a screen reader, so each chart has its newest values as text beside its title.

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

interface ChartProps {
  title: string;
  lines: Line[];
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

const HEIGHT = 148;
const SYNC_KEY = 'thrustmq';
const together = new Set<uPlot>();
let zoom: { min: number; max: number } | undefined;
const onZoom = new Set<() => void>();

/** Shows all of the time again, in every chart. */
export function resetZoom(): void {
  setZoom(undefined);
}

/** Whether the charts show a part of the time only. */
export function useZoomed(): boolean {
  const [isZoomed, setZoomed] = useState(zoom !== undefined);
  useEffect(() => {
    const changed = () => setZoomed(zoom !== undefined);
    onZoom.add(changed);
    return () => void onZoom.delete(changed);
  }, []);
  return isZoomed;
}

function setZoom(next: typeof zoom): void {
  zoom = next;
  for (const chart of together) {
    const times = chart.data[0];
    const range = next ?? { min: times[0] ?? 0, max: times.at(-1) ?? 1 };
    chart.setScale('x', range);
  }
  for (const changed of onZoom) changed();
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const BYTE_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

function optionsOf({ lines, format, isBytes }: ChartProps, width: number): uPlot.Options {
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
  const { title, lines, series, seconds, rows, format, theme } = props;
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot>(null);
  const names = lines.map(({ name }) => name);
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
  }, [theme]);
  // A change of rows stands for new ones in the series.
  useEffect(() => {
    const chart = drawn.current;
    chart?.setData(series.columns(names, seconds) as uPlot.AlignedData, zoom === undefined);
    if (zoom !== undefined) chart?.redraw();
  }, [rows, seconds, theme]);
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
      </figcaption>
      <div ref={box} class="plot" aria-hidden="true" />
    </figure>
  );
}
