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
];
