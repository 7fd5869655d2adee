// Builds the log of a data folder from a base, beside it first: what is half built is never taken
// for a log, and is thrown away at the next start.

import fs from 'node:fs';
import path from 'node:path';
import { type BuildingOptions, buildLog } from '../../log/base/building.ts';
import type { Found } from '../../log/base/finding.ts';
import { BUILDING_FOLDER } from '../../log/segments/segment.ts';
import { NodeFiles } from '../files.ts';
import { syncFolder } from '../storage.ts';

/** Removes what an earlier process had not built to its end. Throws what the system says. */
export function removeUnfinished(dataDir: string): void {
  fs.rmSync(path.join(dataDir, BUILDING_FOLDER), { recursive: true, force: true });
}

/**
 * As buildLog: what it builds is the folder's log when the promise settles, which must not have one
 * before. Rejects with what buildLog does, and leaves nothing of it.
 */
export async function buildLogIn(
  dataDir: string,
  options: Omit<BuildingOptions, 'into'>,
): Promise<Found | undefined> {
  const log = path.join(dataDir, 'log');
  if (fs.existsSync(log) && fs.readdirSync(log).length > 0)
    throw new Error(`${dataDir} has a log already`);
  removeUnfinished(dataDir);
  const folder = path.join(dataDir, BUILDING_FOLDER);
  const into = new NodeFiles(folder);
  try {
    const found = await buildLog({ ...options, into });
    if (found === undefined) return undefined;
    // What was made from a log that is gone says nothing of this one.
    fs.rmSync(path.join(dataDir, 'index'), { recursive: true, force: true });
    fs.renameSync(folder, log);
    syncFolder(dataDir);
    return found;
  } finally {
    into.letGo();
    removeUnfinished(dataDir);
  }
}
