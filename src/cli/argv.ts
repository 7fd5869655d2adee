// Arguments that are not UTF-8: Node.js hands them over with U+FFFD in place of what it could not
// read. Where the system still knows the bytes they are put back: each byte that is no text is a
// lone surrogate U+DC80 … U+DCFF in the string, as Python does it, so that the string goes through
// everything that only passes it on. What needs text refuses a string that is not well formed.

import { readFileSync } from 'node:fs';
import { CliError, EXIT } from './output.ts';

const REPLACEMENT = '\ufffd';
// What stands for bytes that nobody knows any more; where it begins a character it is none.
const UNKNOWN = '\ud800';
const HAS_UNKNOWN = /\ud800(?![\udc00-\udfff])/;
const ESCAPE = 0xdc00;

/** The arguments as the system has them, or undefined where it does not tell. */
function rawArguments(): Buffer[] | undefined {
  try {
    const all = readFileSync('/proc/self/cmdline', 'latin1');
    // Each one ends with a zero byte.
    return all
      .split('\0')
      .slice(0, -1)
      .map((text) => Buffer.from(text, 'latin1'));
  } catch {
    return undefined; // no such file outside Linux
  }
}

/** `argv`, the last arguments of this process, with the bytes that Node.js replaced put back. */
export function restoreArguments(argv: readonly string[], raw = rawArguments): string[] {
  const isDoubtful = (text: string) => !text.isWellFormed() || text.includes(REPLACEMENT);
  if (!argv.some(isDoubtful)) return [...argv];
  const all = raw() ?? [];
  return argv.map((text, index) => {
    if (!isDoubtful(text)) return text;
    const bytes = all[all.length - argv.length + index];
    if (bytes?.toString() === text) return escaped(bytes);
    return text.toWellFormed().replaceAll(REPLACEMENT, UNKNOWN);
  });
}

// Decoding what stands between the first bytes that are no text and the next ones.
function escaped(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + lengthOf(bytes[at]!), bytes.length);
    try {
      text += decoder.decode(bytes.subarray(at, end));
      at = end;
    } catch {
      text += String.fromCharCode(ESCAPE + bytes[at]!);
      at += 1;
    }
  }
  return text;
}

/** Bytes of a character that begins so. */
function lengthOf(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/**
 * The bytes that were given as this argument.
 * @throws CliError when the system did not tell them.
 */
export function bytesOf(argument: string): Buffer {
  if (argument.isWellFormed()) return Buffer.from(argument);
  if (HAS_UNKNOWN.test(argument))
    throw new CliError(
      EXIT.usage,
      `"${shown(argument)}" is not UTF-8, and its bytes are not known here: use --file or standard input`,
    );
  const parts = argument.split(/([\udc80-\udcff])(?<![\ud800-\udbff][\udc00-\udfff])/);
  return Buffer.concat(
    parts.map((part, index) =>
      index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - ESCAPE),
    ),
  );
}

/**
 * Refuses an option that is not text, as another file or host would be taken than was meant.
 * @throws CliError
 */
export function demandText(name: string, value: unknown): void {
  for (const text of Array.isArray(value) ? value : [value])
    if (typeof text === 'string' && !text.isWellFormed())
      throw new CliError(
        EXIT.usage,
        `${name}: "${shown(text)}" is not UTF-8; use a name that is, of a symbolic link perhaps`,
      );
}

/** An argument for people: `caf\xe9`. */
export function shown(text: string): string {
  return [...text]
    .map((char) => {
      if (char.isWellFormed()) return char;
      return char === UNKNOWN ? '?' : `\\x${(char.charCodeAt(0) - ESCAPE).toString(16)}`;
    })
    .join('');
}
