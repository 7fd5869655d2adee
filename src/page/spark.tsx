// A small line without axes, for one number over the time that its screen has been open.

import { useRef } from 'preact/hooks';

const POINTS_MAX = 240;
const WIDTH = 240;
const HEIGHT = 36;

interface SparkProps {
  label: string;
  value: number;
  /** Changes with each new value, also where it is the same. */
  at: number;
  format: (value: number) => string;
}

export function Spark({ label, value, at, format }: SparkProps) {
  const points = useRef<number[]>([]);
  const takenAt = useRef(Number.NaN);
  if (takenAt.current !== at) {
    takenAt.current = at;
    points.current = [...points.current, value].slice(-POINTS_MAX);
  }
  const most = Math.max(...points.current, 1e-9);
  const step = WIDTH / Math.max(1, points.current.length - 1);
  const y = (each: number) => HEIGHT - 2 - (each / most) * (HEIGHT - 4);
  const line = points.current.map((each, i) => `${(i * step).toFixed(1)},${y(each).toFixed(1)}`);
  return (
    <figure class="spark">
      <figcaption>
        {label} <b>{format(value)}</b>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <polyline points={line.join(' ')} />
      </svg>
    </figure>
  );
}
