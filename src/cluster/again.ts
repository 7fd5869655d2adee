// What a node needs of NATS before it can go on is asked for until it is answered.

import type { Logger } from '../io/logger.ts';
import { sleep } from '../time/timers.ts';

export const REST_MS = 500;

/** Calls until it succeeds, and warns; rejects only with what `hopeless` makes of a failure. */
export async function untilAnswered<T>(
  log: Logger,
  what: string,
  call: () => Promise<T>,
  hopeless: (failure: Error) => Error | undefined = () => undefined,
): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const refusal = hopeless(error as Error);
      if (refusal !== undefined) throw refusal;
      const text = `cannot read ${what} yet: ${(error as Error).message}; trying again`;
      log.warn({ event: 'cluster.nats' }, text);
      await sleep(REST_MS);
    }
  }
}
