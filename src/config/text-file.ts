// Text files that people write: UTF-8, with or without the byte order mark that some editors put in
// front. What is encoded otherwise is refused, as its letters would silently become others.

import { readFileSync } from 'node:fs';

/**
 * The text of a file without a byte order mark.
 * @throws the system's error, or a TypeError when it is not UTF-8.
 */
export function readTextFile(path: string): string {
  const bytes = readFileSync(path);
  const mark = bytes.subarray(0, 2).toString('hex');
  if (mark === 'fffe' || mark === 'feff')
    throw new TypeError('it is UTF-16, not UTF-8: save it as UTF-8');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TypeError('it is not UTF-8 (perhaps Latin-1): save it as UTF-8');
  }
}

/** The first line of such a file, as tokens are kept. @throws like `readTextFile`. */
export function readFirstLine(path: string): string {
  return readTextFile(path).split(/\r?\n/)[0]!.trim();
}
