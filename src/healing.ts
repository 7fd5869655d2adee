// Opens the log of a node that can be built again from what others have: a damaged one is set aside
// instead of being refused, and what is opened then is empty. Whoever has the last good copy of a
// log must not open it this way.

import type { DataFolder } from './data-folder.ts';
import type { Logger } from './io/logger.ts';
import { LogError } from './log/files/errors.ts';

// Not what another release wrote, nor what another log is, nor what the system cannot read now:
// all that may be whole.
const HEALED = ['damaged', 'missing'];

/**
 * `open` is given what in the folder speaks of an earlier log; it is called once more if that one
 * turns out damaged. Throws what it throws otherwise, and what the system says about setting aside.
 */
export async function openHealing<Opened>(
  folder: Pick<DataFolder, 'traces' | 'setLogAside'>,
  log: Pick<Logger, 'error'>,
  now: () => Date,
  open: (traces: readonly string[]) => Promise<Opened>,
): Promise<Opened> {
  try {
    return await open(folder.traces);
  } catch (error) {
    if (!(error instanceof LogError) || !HEALED.includes(error.code)) throw error;
    const name = await folder.setLogAside(now());
    const where = name === undefined ? 'it is begun anew' : `it is in ${name} now`;
    log.error(
      { event: 'log.set-aside', folder: name },
      `the log cannot be used, ${where}, and is built again from the other nodes: ${error.message}`,
    );
    return open([]);
  }
}
