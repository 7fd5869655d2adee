// Gives the log of a data folder another name, so that another one can be begun in its place. Its
// indexes go, as they are made from it.

import fs from 'node:fs';
import path from 'node:path';
import { syncFolder } from './storage.ts';

/**
 * Durably; gives the folder's new name, or undefined if there is no log. Nothing of it may be open.
 * A crash within leaves either the log, whose indexes may be gone, or what comes of the call.
 * @throws the system's error.
 */
export function setLogAside(dataDir: string, now: Date): string | undefined {
  const stamp = now.toISOString().replace(/[-:]|\.\d+/g, '');
  fs.rmSync(path.join(dataDir, 'index'), { recursive: true, force: true });
  const log = path.join(dataDir, 'log');
  if (!fs.existsSync(log) || fs.readdirSync(log).length === 0) return undefined;
  let name = `log.damaged-${stamp}`;
  for (let n = 2; fs.existsSync(path.join(dataDir, name)); n++) name = `log.damaged-${stamp}-${n}`;
  fs.renameSync(log, path.join(dataDir, name));
  syncFolder(dataDir);
  return name;
}
