// The queue that items leave from anywhere, against a plain array.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Queue, Queued } from '../../src/client/queue.ts';

const seed = Number(process.env.THRUSTMQ_TEST_SEED ?? Date.now() % 2_147_483_647);
console.log(`queue.test seed ${seed} (THRUSTMQ_TEST_SEED=${seed} repeats it)`);

class Item extends Queued<Item> {}

test('items stay in order, whoever leaves, and leave without a link', () => {
  const steps = fc.array(fc.option(fc.nat(1000), { freq: 2 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (drawn) => {
      const queue = new Queue<Item>();
      const model: Item[] = [];
      let added = 0;
      for (const leaves of drawn) {
        if (leaves === null) {
          const item = new Item();
          queue.push(item);
          model.push(item);
          assert.equal(item.number, added++);
        } else if (model.length > 0) {
          const [item] = model.splice(leaves % model.length, 1);
          queue.remove(item);
          assert.deepEqual([item.previous, item.next], [undefined, undefined]);
        }
        const seen: Item[] = [];
        for (let one = queue.first; one !== undefined; one = one.next) seen.push(one);
        const back: Item[] = [];
        for (let one = seen.at(-1); one !== undefined; one = one.previous) back.unshift(one);
        assert.ok(seen.length === model.length && seen.every((one, at) => one === model[at]));
        assert.ok(back.every((one, at) => one === model[at]));
        assert.equal(queue.added, added);
        assert.equal(queue.left, model[0]?.number ?? added);
      }
    }),
    { seed, numRuns: 200 },
  );
});
