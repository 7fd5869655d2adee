// Numbers, sizes, times and foreign text as people read them. Pure; always English, so that the
// page, the command line and the documentation say the same.

const GROUPED = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
export const NOTHING = '–';

/** A whole number with its digits grouped: 1,234,567. */
export function count(value: number): string {
  return Number.isFinite(value) ? GROUPED.format(Math.round(value)) : NOTHING;
}

/** A rate per second: one decimal below ten, so that slow is not shown as standing still. */
export function rate(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  return value > 0 && value < 10 ? trimmed(value.toFixed(1)) : count(value);
}

/** Three digits that matter at most: 1.5, 20.1, 345. */
function short(value: number): string {
  if (value >= 100) return count(value);
  return trimmed(value.toFixed(value >= 10 ? 1 : 2));
}

function trimmed(text: string): string {
  return text.replace(/\.?0+$/, '') || '0';
}

/** A size in binary units: 64 MiB. */
export function bytes(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  let unit = 0;
  let amount = Math.max(0, value);
  while (amount >= 1024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 ? count(amount) : short(amount)} ${BYTE_UNITS[unit]}`;
}

/** A short time: 0.14 ms, 3 s. */
export function milliseconds(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  return value < 1000 ? `${short(value)} ms` : duration(value);
}

const STEPS: [string, number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** A time in its two largest units, in whole seconds: 3 min 4 s. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return NOTHING;
  let seconds = Math.max(0, Math.round(ms / 1000));
  const parts: string[] = [];
  for (const [unit, size] of STEPS) {
    const amount = Math.floor(seconds / size);
    seconds -= amount * size;
    if (amount > 0 || (unit === 's' && parts.length === 0)) parts.push(`${amount} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}

/** How long ago. */
export function ago(ms: number): string {
  return ms < 1000 ? 'just now' : `${duration(ms)} ago`;
}

/** One word or several: plural(1, 'bucket') is "1 bucket". */
export function plural(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? '' : word.endsWith('x') ? 'es' : 's'}`;
}

/** A share in per cent; what is not nothing is never shown as 0. */
export function percent(part: number, whole: number): string {
  if (!(whole > 0)) return NOTHING;
  const share = (part / whole) * 100;
  if (share > 0 && share < 1) return '< 1 %';
  return `${Math.round(share)} %`;
}

// Direction marks and their like can make text read as something else than it is.
const UNSEEN = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Foreign text with everything that does not show, or that turns its surroundings around, made
 * visible: controls as their symbols, marks of direction as <U+202E>. Line ends stay, if wanted.
 */
export function visible(text: string, keepLines = false): string {
  return text
    .replace(/[\u0000-\u001f\u007f]/g, (char) => {
      if (keepLines && (char === '\n' || char === '\t')) return char;
      return char === '\u007f' ? '\u2421' : String.fromCharCode(0x2400 + char.charCodeAt(0));
    })
    .replace(/[\u0080-\u009f]/g, (char) => marked(char))
    .replace(UNSEEN, (char) => marked(char));
}

function marked(char: string): string {
  return `<U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}>`;
}
