// Sizes and durations as people write them. Pure text to number: no defaults, no configuration.

const SIZE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

const DURATION_UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
};

/**
 * Reads a size such as `1MiB`, `64KiB`, `2k` or `4096`, in bytes. `K`, `M`, `G` alone count in
 * 1024, as `KiB` does; `kB`, `MB`, `GB` count in 1000.
 * @throws RangeError when the text is not a whole, safe number of bytes.
 */
export function parseSize(text: string): number {
  const bytes = scaled(text, SIZE_UNITS);
  if (bytes === undefined)
    throw new RangeError(`"${text}" is not a size; write bytes, or a unit: 64KiB, 1MiB`);
  return bytes;
}

/**
 * Reads a duration such as `250ms`, `30s` or `2m`, in milliseconds. A bare number is refused except
 * 0, because nobody can tell which unit was meant.
 * @throws RangeError when the text is not a whole, safe number of milliseconds.
 */
export function parseDuration(text: string): number {
  const ms = text.trim() === '0' ? 0 : scaled(text, DURATION_UNITS);
  if (ms === undefined)
    throw new RangeError(`"${text}" is not a duration; write a unit: 250ms, 30s, 2m`);
  return ms;
}

function scaled(text: string, units: Record<string, number>): number | undefined {
  const match = /^\s*(\d{1,16}(?:\.\d{1,9})?)\s*([a-z]*)\s*$/i.exec(text);
  if (!match) return undefined;
  const unit = match[2].toLowerCase();
  if (!Object.hasOwn(units, unit)) return undefined;
  const value = Number(match[1]) * units[unit];
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Writes a size for people: the largest binary unit that divides it, or one decimal. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < names.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = Number.isInteger(value) ? value.toString() : value.toFixed(1);
  return unit === 0 ? `${digits} B` : `${digits} ${names[unit]}`;
}

/** Writes a duration for people: `250 ms`, `1.5 s`, `3 m 20 s`, `2 h 5 m`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Number(ms.toFixed(2))} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} m ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

const EXACT_DURATIONS: readonly [string, number][] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];
const EXACT_SIZES: readonly [string, number][] = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
];

/** The one spelling of a duration that `parseDuration` reads back exactly: `90s`, `2h`, `0s`. */
export function exactDuration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, factor] = EXACT_DURATIONS.find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / factor}${unit}`;
}

/** The one spelling of a size that `parseSize` reads back exactly: `64KiB`, `1000`. */
export function exactSize(bytes: number): string {
  const [unit, factor] = EXACT_SIZES.find(([, each]) => bytes > 0 && bytes % each === 0) ?? ['', 1];
  return `${bytes / factor}${unit}`;
}
