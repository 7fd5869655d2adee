// Reads files of ids: pages of them, each as it was written or not at all; or several in order, as
// one.

import { SLOT_WORDS } from '../../core/collections/id-page.ts';
import type { Files } from '../files/files.ts';
import { readFully } from '../scan/scan.ts';
import { ID_PAGE_BYTES, idRunName, idSlots, PAGE_SLOTS } from './id-run.ts';
import { type OpenRun, PIECE_PAGES } from './id-writer.ts';
import type { Checksum } from './index-file.ts';

/** Where files are. */
export interface IdFiles {
  files: Files;
  crc32c: Checksum;
}

/** What reading takes of a file. */
export type RunToRead = Pick<OpenRun, 'number' | 'handle' | 'pages'>;

/** Reads pages of a file, `into` has room for them. Throws if one is not what was written. */
export async function readIdPages(
  { files, crc32c }: IdFiles,
  { number, handle }: RunToRead,
  from: number,
  pages: number,
  into: Uint8Array,
): Promise<Uint32Array[]> {
  const bytes = into.subarray(0, pages * ID_PAGE_BYTES);
  const got = await readFully(files, handle, bytes, from * ID_PAGE_BYTES);
  return Array.from({ length: pages }, (_, i) => {
    const page = bytes.subarray(i * ID_PAGE_BYTES, (i + 1) * ID_PAGE_BYTES);
    const isThere = (i + 1) * ID_PAGE_BYTES <= got;
    const slots = isThere ? idSlots(page, from + i, number, crc32c) : undefined;
    if (slots === undefined) throw new Error(`page ${from + i} of ${idRunName(number)} is damaged`);
    return slots;
  });
}

// The pages of one file, one after the other.
async function* pagesOf(plan: IdFiles, run: RunToRead): AsyncGenerator<Uint32Array> {
  const into = new Uint8Array(PIECE_PAGES * ID_PAGE_BYTES);
  for (let at = 0; at < run.pages; at += PIECE_PAGES)
    yield* await readIdPages(plan, run, at, Math.min(PIECE_PAGES, run.pages - at), into);
}

interface Cursor {
  pages: AsyncGenerator<Uint32Array>;
  slots: Uint32Array;
  at: number;
}

/** The slots of several files, in order. */
export async function* merged(
  plan: IdFiles,
  runs: readonly RunToRead[],
): AsyncGenerator<Uint32Array> {
  const cursors: Cursor[] = [];
  for (const run of runs) {
    const cursor = { pages: pagesOf(plan, run), slots: new Uint32Array(), at: 0 };
    if (await advance(cursor)) cursors.push(cursor);
  }
  const out = new Uint32Array(PAGE_SLOTS * SLOT_WORDS);
  let filled = 0;
  while (cursors.length > 0) {
    let least = cursors[0]!;
    for (const cursor of cursors)
      if (cursor.slots[cursor.at]! < least.slots[least.at]!) least = cursor;
    const { slots, at } = least;
    for (let i = 0; i < SLOT_WORDS; i++) out[filled + i] = slots[at + i]!;
    filled += SLOT_WORDS;
    least.at += SLOT_WORDS;
    if (least.at === slots.length && !(await advance(least)))
      cursors.splice(cursors.indexOf(least), 1);
    if (filled < out.length) continue;
    yield out;
    filled = 0;
  }
  yield out.subarray(0, filled);
}

async function advance(cursor: Cursor): Promise<boolean> {
  const { value } = await cursor.pages.next();
  cursor.slots = value ?? new Uint32Array();
  cursor.at = 0;
  return value !== undefined;
}
