// Planted bugs in src/core/delivery.

import type { Mutant } from '../../mutant.ts';

export const CORE_DELIVERY: readonly Mutant[] = [
  {
    name: 'pause ignored',
    file: 'src/core/delivery/dispatcher.ts',
    member: 'Dispatcher.dispatch',
    find: 'paused.count > 0',
    replace: 'false',
    test: 'test/core/admin/admin.test.ts',
    caughtBy: 'paused comes before whoever consumes',
  },
  {
    name: 'delivery to a connection that is closed',
    file: 'src/core/delivery/dispatcher.ts',
    member: 'Dispatcher.dispatch',
    find: '!consumer.link.destroyed',
    replace: 'true',
    test: 'test/core/delivery/presence.test.ts',
    caughtBy: 'is charged once for what it held, and the others that went with it not at all',
  },
  {
    name: 'newcomer served before its end was read',
    file: 'src/core/delivery/presence.ts',
    member: 'Presence.turn',
    find: 'const there = this.#arrived;',
    replace: 'const there = this.#arriving.splice(0);',
    test: 'test/core/delivery/presence.test.ts',
    caughtBy: 'leaves no attempt behind, its end read 1 turns after its header',
  },
  {
    name: 'what a bucket was given beyond its rate forgotten',
    file: 'src/core/delivery/rate-limits.ts',
    member: 'RateLimits.left',
    find: 'this.#debts.set(this.#buckets.idOf(slot), pace.evenMs);',
    replace: '',
    test: 'test/core/delivery/rate-limits.test.ts',
    caughtBy: 'who leaves and comes back owes what the bucket was given; with time it is paid',
  },
  {
    name: 'one more in flight than a rule allows',
    file: 'src/core/delivery/delivery-limits.ts',
    member: 'DeliveryLimits.most',
    find: 'maxInFlight - this.#buckets.unackedOf(slot)',
    replace: 'maxInFlight + 1 - this.#buckets.unackedOf(slot)',
    test: 'test/core/delivery/delivery-limits.test.ts',
    caughtBy:
      'max_in_flight=1: one at a time, in order, however many consumers; what failed comes first',
  },
  {
    name: 'bucket at its rate not dispatched when its time comes',
    file: 'src/core/delivery/rate-limits.ts',
    member: 'RateLimits.advance',
    find: 'this.#due.advance(nowMs, ({ slot }) => dispatch(slot));',
    replace: '',
    test: 'test/core/delivery/delivery-limits.test.ts',
    caughtBy:
      'a bucket at its rate sleeps until the next may go, and one without a rate never wakes',
  },
  {
    name: 'lateness made good again for whoever comes back',
    file: 'src/core/delivery/rate-limits.ts',
    member: 'RateLimits.left',
    find: 'nowMs - LATE_MS',
    replace: 'nowMs',
    test: 'test/core/delivery/rate-limits.test.ts',
    caughtBy: 'who leaves again and again is given no more than who stays',
  },
];
