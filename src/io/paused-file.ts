// The file beside the log in which earlier versions kept which buckets are paused. A start reads
// it; what it says becomes settings of the log, and it is removed (core/earlier-pauses.ts).

import fs from 'node:fs';
import path from 'node:path';
import { isId } from '../contract/commands.ts';
import type { Earlier } from '../core/earlier-pauses.ts';
import { syncFolder } from './fresh-folder.ts';

export const PAUSED_FILE = 'paused.json';
const VERSION = 1;

/** The file is there and cannot be used; the message says what to do. */
export class PausedFileError extends Error {
  override name = 'PausedFileError';
}

/**
 * What the file in a data folder says; undefined without one. `folder` tells where that is: it may
 * be renamed.
 * @throws PausedFileError when it cannot be read, or is no such list.
 */
export function readPausedFile(folder: () => string): Earlier | undefined {
  const file = path.join(folder(), PAUSED_FILE);
  try {
    const text = textIn(folder());
    if (text === undefined) return undefined;
    const remove = (done: (failure: Error | undefined) => void) =>
      void removeIn(folder()).then(() => done(undefined), done);
    return { name: PAUSED_FILE, ids: idsIn(text), remove };
  } catch (error) {
    const text = `${file} cannot be used: ${(error as Error).message}. It says which buckets are paused: make it readable, repair it, or remove it and pause them again`;
    throw new PausedFileError(text, { cause: error });
  }
}

/**
 * The text of the file in a data folder; undefined without one.
 * @throws the system's error when it is there and cannot be read.
 */
export function textIn(folder: string): string | undefined {
  try {
    return fs.readFileSync(path.join(folder, PAUSED_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function idsIn(text: string): string[] {
  // Some editors put a byte order mark in front.
  const table = JSON.parse(text.replace(/^\uFEFF/, '')) as {
    version?: unknown;
    paused?: unknown;
  };
  const { version, paused } = table ?? {};
  if (version !== VERSION || !Array.isArray(paused) || !paused.every(isId))
    throw new SyntaxError(`it is not a list of paused buckets of version ${VERSION}`);
  return paused;
}

// Again after a failure, too: the name may be gone, and not durably so.
async function removeIn(folder: string): Promise<void> {
  await fs.promises.rm(path.join(folder, PAUSED_FILE), { force: true });
  await syncFolder(folder);
}
