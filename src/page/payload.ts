// The bytes of a message as text, as JSON or in hex. Pure; what it gives is text to be shown as it
// is, never as markup.

import { visible } from './format.ts';

export type Form = 'text' | 'json' | 'hex';

const HEX_COLUMNS = 16;
const DEPTH_MAX = 32;

/** Bytes from base64. */
export function bytesOf(base64: string): Uint8Array {
  const binary = atob(base64);
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

export interface Shown {
  text: string;
  /** What has to be known about it. */
  note?: string;
}

/** The bytes in a form. `isCut`: they are only the beginning of the message. */
export function shown(bytes: Uint8Array, form: Form, isCut: boolean): Shown {
  if (form === 'hex') return { text: hex(bytes) };
  const { text, isUtf8 } = textOf(bytes, isCut);
  const note = isUtf8 ? {} : { note: 'not valid UTF-8: bytes that fit nothing are shown as �' };
  if (form === 'text') return { text: visible(text, true), ...note };
  const pretty = indented(text);
  if (pretty !== undefined) return { text: visible(pretty, true) };
  const why = isCut ? 'only its beginning is here, so it does not parse' : 'this is not JSON';
  return { text: visible(text, true), note: `${why}; shown as text` };
}

/** The form that suits the bytes best. */
export function formFor(bytes: Uint8Array, isCut: boolean): Form {
  const { text, isUtf8 } = textOf(bytes, isCut);
  if (!isUtf8 || /[\u0000-\u0008\u000e-\u001f]/.test(text)) return 'hex';
  return /^\s*[[{]/.test(text) && indented(text) !== undefined ? 'json' : 'text';
}

function textOf(bytes: Uint8Array, isCut: boolean): { text: string; isUtf8: boolean } {
  // A cut may go through a character: as a stream, its first bytes are just not shown.
  const options = { stream: isCut };
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { text: decoder.decode(bytes, options), isUtf8: true };
  } catch {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return { text: decoder.decode(bytes, options), isUtf8: false };
  }
}

/** Sixteen bytes a line: offset, hex, ASCII. */
export function hex(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_COLUMNS) {
    const row = [...bytes.subarray(at, at + HEX_COLUMNS)];
    const pairs = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const plain = row.map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    );
    const offset = at.toString(16).padStart(8, '0');
    lines.push(`${offset}  ${pairs.padEnd(HEX_COLUMNS * 3 - 1)}  ${plain.join('')}`);
  }
  return lines.join('\n');
}

/**
 * JSON with line breaks, or undefined if it is none. Moves white space only: written anew from
 * parsed values, numbers of 64 bits would come out changed.
 */
export function indented(text: string): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  let out = '';
  let depth = 0;
  let isFresh = false; // nothing came since a bracket was opened
  // Deeper levels are not moved in any further: their margins would outgrow the text by far.
  const line = () => `\n${'  '.repeat(Math.min(depth, DEPTH_MAX))}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g)) {
    if (token === '}' || token === ']') {
      depth--;
      out = isFresh ? out.trimEnd() + token : out + line() + token;
    } else if (token === '{' || token === '[') {
      depth++;
      out += token + line();
    } else if (token === ',') out += token + line();
    else out += token === ':' ? ': ' : token;
    isFresh = token === '{' || token === '[';
  }
  return out;
}
