// What a producer is owed: the order of answers, whatever is complete first; one piece for each,
// and ones gathered; the place of every refusal. Against a plain list.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_MESSAGES_MAX } from '../../../assembly/layout.ts';
import { Replies } from '../../../src/core/connections/replies.ts';
import { Random, seedOf } from '../../support/random.ts';

const seed = seedOf('core/connections/replies.test');

class Bench {
  readonly pieces: Uint8Array[] = [];
  asked = 0;
  readonly replies = new Replies(
    { send: (bytes) => void this.pieces.push(bytes.slice()) },
    { replyLater: () => void this.asked++ },
  );

  /** A whole batch, of which those at `refused` are refused. */
  owe(count: number, refused: number[] = [], pending?: number): number {
    this.replies.begin(count);
    for (const at of refused) this.replies.refuse(at, 1);
    return this.replies.owe(pending);
  }

  take(): number[][] {
    this.replies.flush();
    return this.pieces.splice(0).map((piece) => [...piece]);
  }
}

describe('the queue', () => {
  test('ones of batches that are released together share a piece', () => {
    const bench = new Bench();
    const [a, b] = [bench.owe(2), bench.owe(3)];
    bench.replies.done(a);
    bench.replies.done(b);
    assert.deepEqual([bench.pieces.length, bench.asked, bench.replies.owed], [0, 1, 0]);
    assert.deepEqual(bench.take(), [[1, 1, 1, 1, 1]]);
    assert.deepEqual(bench.take(), []);
  });

  test('it is asked for a flush once, and again after that', () => {
    const bench = new Bench();
    for (const expected of [1, 2]) {
      for (let i = 0; i < 3; i++) bench.replies.done(bench.owe(1));
      assert.equal(bench.asked, expected);
      bench.take();
    }
  });

  test('an answer with a refusal is a piece of its own, behind the ones before it', () => {
    const bench = new Bench();
    const tokens = [bench.owe(1), bench.owe(3, [1]), bench.owe(1)];
    for (const token of tokens) bench.replies.done(token);
    assert.deepEqual(bench.take(), [[1], [1, 0, 1], [1]]);
  });

  test('what is complete first waits for what came first', () => {
    const bench = new Bench();
    const [a, b, c] = [bench.owe(1, [0]), bench.owe(2), bench.owe(2, [0, 1])];
    bench.replies.done(c);
    bench.replies.done(b);
    assert.deepEqual([bench.take(), bench.replies.owed], [[], 3]);
    bench.replies.done(a);
    assert.deepEqual([bench.take(), bench.replies.owed], [[[0], [1, 1], [0, 0]], 0]);
  });

  test('a batch that waits for several things leaves with the last of them', () => {
    const bench = new Bench();
    const [a, b] = [bench.owe(1, [], 3), bench.owe(1)];
    bench.replies.done(a);
    bench.replies.done(b);
    bench.replies.done(a);
    assert.deepEqual(bench.take(), []);
    bench.replies.done(a);
    assert.deepEqual(bench.take(), [[1, 1]]);
  });

  test('the answer of one batch is never split over two pieces', () => {
    const bench = new Bench();
    const counts = [BATCH_MESSAGES_MAX, 1, BATCH_MESSAGES_MAX - 1, 1, 5];
    const tokens = counts.map((count) => bench.owe(count));
    for (const token of tokens) bench.replies.done(token);
    assert.deepEqual(
      bench.take().map((piece) => piece.length),
      [BATCH_MESSAGES_MAX, BATCH_MESSAGES_MAX, 6],
    );
  });

  test('refusals stand in their place, however late the first one is', () => {
    const bench = new Bench();
    for (const refused of [[0], [63], [64], [999], [0, 63, 64, 65, 500, 999]]) {
      bench.replies.done(bench.owe(1000, refused));
      const expected = Array.from({ length: 1000 }, (_, i) => (refused.includes(i) ? 0 : 1));
      assert.deepEqual(bench.take(), [expected]);
    }
    bench.replies.done(bench.owe(2));
    assert.deepEqual(bench.take(), [[1, 1]], 'refusals of a batch are in the next one');
  });

  test('any batches, complete in any order, are answered as a plain list says', () => {
    const random = new Random(seed);
    for (let round = 0; round < 10; round++) {
      const bench = new Bench();
      const expected: number[] = [];
      const open: number[] = [];
      const sent: number[] = [];
      for (let step = 0; step < 4000; step++) {
        // Long lines and empty ones by turns: the queue grows, goes round and shrinks.
        if (random.chance(step % 2000 < 1000 ? 0.8 : 0.2)) {
          const count = 1 + random.below(4);
          const refused = Array.from({ length: count }, (_, i) => i).filter(() =>
            random.chance(0.1),
          );
          const pending = 1 + random.below(2);
          const token = bench.owe(count, refused, pending);
          for (let i = 0; i < pending; i++) open.push(token);
          for (let i = 0; i < count; i++) expected.push(refused.includes(i) ? 0 : 1);
        } else if (open.length > 0) {
          const [token] = open.splice(random.below(open.length), 1);
          bench.replies.done(token!);
        }
        if (random.chance(0.2)) {
          const fresh = bench.take().flat();
          assert.deepEqual(fresh, expected.slice(sent.length, sent.length + fresh.length));
          sent.push(...fresh);
        }
      }
      for (const token of open) bench.replies.done(token);
      sent.push(...bench.take().flat());
      assert.deepEqual(sent, expected);
      assert.equal(bench.replies.owed, 0);
    }
  });
});
