// Counts why the first messages of a dead line died. The reason stands with each message in the
// log, so they are read, as a peek reads them: as many as are asked for, up to a bound of bytes.

import type { DeadReasons } from '../../contract/dead-messages.ts';
import { type PeekOptions, peek } from './peek.ts';

const READ_MOST = 16 * 1024 * 1024;
/** Of one that was put there by hand, or by a broker that says no reason. */
const NO_REASON = 'unknown';

type Line = Pick<PeekOptions, 'broker' | 'log' | 'slot' | 'limit' | 'soon'>;

/** `done` gets what was counted, or why nothing can be read. */
export function countReasons(
  { broker, log, slot, limit, soon }: Line,
  done: (failure: string | undefined, counted: DeadReasons | undefined) => void,
): void {
  const id = broker.buckets.idOf(slot);
  const nothing = { bytes: 0, base64: () => '' };
  // One more than is counted tells whether there are more.
  const bounds = { limit: limit + 1, readMost: READ_MOST };
  const end: PeekOptions['done'] = (messages, cut, failure) => {
    if (failure !== undefined && messages.length === 0) {
      done(failure, undefined);
      return;
    }
    const reasons: Record<string, number> = {};
    const looked = messages.slice(0, limit);
    for (const { moved } of looked) {
      const reason = moved?.reason ?? NO_REASON;
      reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
    const more = cut || failure !== undefined || messages.length > limit;
    done(undefined, { id, looked: looked.length, more, reasons });
  };
  peek({ broker, log, slot, ...nothing, ...bounds, soon, done: end });
}
