// A folder that is to hold a new log, for a repair or a backup: empty or not there, and outside of
// the data folder that the log is taken from.

import fs from 'node:fs';
import path from 'node:path';
import { INCOMPLETE_FOLDER } from '../log/segments/segment.ts';
import { LOCK_NAME } from './lock.ts';

/** The path without links, also of a folder that is not there yet. */
async function realPath(folder: string): Promise<string> {
  const absolute = path.resolve(folder);
  try {
    return await fs.promises.realpath(absolute);
  } catch {
    const parent = path.dirname(absolute);
    if (parent === absolute) return absolute;
    return path.join(await realPath(parent), path.basename(absolute));
  }
}

/** Why a new log cannot go into a folder; undefined: it can. `names`: what is in it. */
export function whyNotFresh(into: string, names: readonly string[]): string | undefined {
  if (names.includes(INCOMPLETE_FOLDER))
    return `${into} holds a repair that was cut off, or a backup (${INCOMPLETE_FOLDER}): remove that folder, or choose another one`;
  const other = names.find((name) => name !== LOCK_NAME);
  if (other === undefined) return undefined;
  return `${into} is not empty, it holds ${other}: choose a folder that is empty or does not exist`;
}

/** Whether a folder is the data folder or lies in it. */
export async function isWithin(dataDir: string, into: string): Promise<boolean> {
  const way = path.relative(await realPath(dataDir), await realPath(into));
  return way !== '..' && !way.startsWith(`..${path.sep}`);
}

/**
 * Makes the folder with what is above it, durably, private to its owner. Gives the outermost folder
 * that was made; undefined if it was there. One at a time, as `makeFolder` of storage.ts does and
 * for its reason, but without keeping the event loop.
 */
export async function makeFresh(into: string): Promise<string | undefined> {
  const folder = path.resolve(into);
  const above = path.dirname(folder);
  if (await isFolder(folder)) return undefined;
  const outermost = above === folder ? undefined : await makeFresh(above);
  try {
    await fs.promises.mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (!(await isFolder(folder))) throw error;
    return outermost; // another one made it meanwhile
  }
  await syncFolder(above);
  return outermost ?? folder;
}

async function isFolder(folder: string): Promise<boolean> {
  return fs.promises.stat(folder).then(
    (stat) => stat.isDirectory(),
    () => false,
  );
}

export async function syncFolder(folder: string): Promise<void> {
  const opened = await fs.promises.open(folder, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
