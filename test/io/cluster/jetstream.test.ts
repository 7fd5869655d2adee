// The replicated stream over real servers of NATS: appends and who is told what of them, reading,
// following, purging; and what becomes of all that when servers are killed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Appended, StreamMessage, StreamState } from '../../../src/core/ports/stream.ts';
import { connectStream, type JetStreamLink } from '../../../src/io/cluster/jetstream.ts';
import { sleep } from '../../../src/time/timers.ts';
import { NatsCluster, SERVERS } from '../../cluster/nats.ts';
import { optionsFor } from '../../cluster/stream-options.ts';

const TIMEOUT_MS = 120_000;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

const append = (link: JetStreamLink, body: string | Uint8Array, expect: number) =>
  new Promise<Appended>((resolve) => {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    link.append(bytes.subarray(0, 1), bytes.subarray(1), expect, resolve);
  });

const stateOf = (link: JetStreamLink) =>
  new Promise<StreamState>((resolve, reject) => {
    link.state((failure, state) => (failure ? reject(failure) : resolve(state!)));
  });

const read = (link: JetStreamLink, sequence: number) =>
  new Promise<StreamMessage | undefined>((resolve, reject) => {
    link.read(sequence, (failure, found) => (failure ? reject(failure) : resolve(found)));
  });

const purge = (link: JetStreamLink, before: number) =>
  new Promise<void>((resolve, reject) => {
    link.purge(before, (failure) => (failure ? reject(failure) : resolve()));
  });

/** Hears until there are so many; `wait` is told each time how many there are. */
class Ear {
  readonly heard: { sequence: number; text: string }[] = [];
  readonly following: { stop(): void; resume(): void };
  lost: string | undefined;
  pauseAt = Infinity;
  #checks: (() => void)[] = [];

  constructor(link: JetStreamLink, from: number) {
    this.following = link.follow(
      from,
      ({ sequence, bytes }) => {
        this.heard.push({ sequence, text: text(bytes) });
        for (const check of this.#checks) check();
        return this.heard.length < this.pauseAt;
      },
      (why) => {
        this.lost = why;
      },
    );
  }

  count(count: number): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.heard.length >= count) resolve();
      };
      this.#checks.push(check);
      check();
    });
  }

  get sequences(): number[] {
    return this.heard.map(({ sequence }) => sequence);
  }
}

const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => from + i);

/** Appends once the stream takes appends again; reads back after a doubt, as an owner does. */
async function appendAgain(link: JetStreamLink, body: string): Promise<number> {
  for (;;) {
    let last: number;
    try {
      ({ last } = await stateOf(link));
    } catch {
      continue;
    }
    const found = last === 0 ? undefined : await read(link, last).catch(() => undefined);
    if (found !== undefined && text(found.bytes) === body) return last;
    const appended = await append(link, body, last);
    if (appended.ok) return appended.sequence;
  }
}

for (const { name, program, skip } of SERVERS) {
  const about = { ...(skip === undefined ? {} : { skip }), timeout: TIMEOUT_MS };

  test(`${name}: appends, reads, purges and follows`, about, async (t) => {
    await using nats = await NatsCluster.start(program!);
    const open = (cluster: string, more = {}) =>
      connectStream(optionsFor(nats, { cluster, ...more }));

    await t.test('appends are chained by the number of the one before', async () => {
      const link = await open('chain');
      for (const i of range(0, 5))
        assert.deepEqual(await append(link, `m${i}`, i), { ok: true, sequence: i + 1 });
      const { created, leader, bytes, ...numbers } = await stateOf(link);
      assert.deepEqual(numbers, { first: 1, last: 5 });
      assert.equal(created, link.created);
      assert.match(leader!, /^n[012]$/);
      assert.ok(bytes > 0);
      assert.equal(text((await read(link, 3))!.bytes), 'm2');
      assert.equal(await read(link, 6), undefined);
      await link.close();
    });

    await t.test('bytes are copied within the call, and a pipeline comes in order', async () => {
      const link = await open('pipe');
      const bytes = Buffer.alloc(100_000);
      const outcomes = range(0, 40).map((i) => {
        bytes.fill(i);
        return append(link, bytes, i);
      });
      assert.deepEqual(
        await Promise.all(outcomes),
        range(1, 40).map((sequence) => ({ ok: true, sequence })),
      );
      for (const i of [0, 17, 39]) {
        const found = await read(link, i + 1);
        assert.ok(found!.bytes.every((byte) => byte === i));
      }
      await link.close();
    });

    await t.test(
      'who expects a number that was passed is told so, and what follows fits',
      async () => {
        const [a, b] = await Promise.all([open('trap'), open('trap')]);
        for (const i of range(0, 3)) await append(a, `a${i}`, i);
        assert.deepEqual(await append(b, 'start', 3), { ok: true, sequence: 4 });
        // Its number is that of the other's start: what a number says is not whose it is.
        const outcomes = await Promise.all(range(3, 3).map((i) => append(a, `a${i}`, i)));
        assert.deepEqual(outcomes, [
          { ok: false, why: 'expected' },
          { ok: true, sequence: 5 },
          { ok: true, sequence: 6 },
        ]);
        assert.deepEqual(await append(b, 'more', 4), { ok: false, why: 'expected' });
        await Promise.all([a.close(), b.close()]);
      },
    );

    await t.test('a full stream says so, and takes more once it was purged', async () => {
      const link = await open('full', { maxBytes: 1024 * 1024 });
      const part = Buffer.alloc(300_000, 'x');
      const outcomes: Appended[] = [];
      for (const i of range(0, 4)) outcomes.push(await append(link, part, i));
      assert.deepEqual(outcomes[3], { ok: false, why: 'full' });
      await purge(link, 3);
      assert.deepEqual(await append(link, part, 3), { ok: true, sequence: 4 });
      await link.close();
    });

    await t.test('what is purged is heard as a jump, and numbers go on', async () => {
      const link = await open('jump');
      for (const i of range(0, 10)) await append(link, `m${i}`, i);
      await purge(link, 1);
      assert.equal((await stateOf(link)).first, 1);
      await purge(link, 8);
      const { first, last } = await stateOf(link);
      assert.deepEqual([first, last], [8, 10]);
      const ear = new Ear(link, 4);
      await ear.count(3);
      assert.deepEqual(ear.sequences, [8, 9, 10]);
      await purge(link, 11);
      const empty = await stateOf(link);
      assert.deepEqual([empty.first, empty.last], [11, 10]);
      assert.deepEqual(await append(link, 'm10', 10), { ok: true, sequence: 11 });
      await ear.count(4);
      assert.deepEqual(ear.sequences, [8, 9, 10, 11]);
      ear.following.stop();
      await link.close();
    });

    await t.test('following begins at a number, pauses and goes on', async () => {
      const link = await open('follow');
      for (const i of range(0, 20)) await append(link, `m${i}`, i);
      const ear = new Ear(link, 5);
      ear.pauseAt = 7;
      await ear.count(7);
      for (const i of range(20, 5)) await append(link, `m${i}`, i);
      assert.deepEqual(ear.sequences, range(5, 7));
      ear.pauseAt = Infinity;
      ear.following.resume();
      await ear.count(21);
      assert.deepEqual(ear.sequences, range(5, 21));
      assert.ok(ear.heard.every(({ sequence, text }) => text === `m${sequence - 1}`));
      ear.following.stop();
      await append(link, 'unheard', 25);
      assert.equal(ear.heard.length, 21);
      assert.equal(ear.lost, undefined);
      await link.close();
    });

    await t.test('a reader that pauses on much is not flooded, and hears all', async () => {
      const link = await open('much', { maxBytes: 128 * 1024 * 1024 });
      const part = Buffer.alloc(800_000, 'y');
      const outcomes: Promise<Appended>[] = [];
      for (const i of range(0, 60)) {
        outcomes.push(append(link, part, i));
        if (i % 5 === 4) await outcomes.at(-1);
      }
      assert.ok((await Promise.all(outcomes)).every(({ ok }) => ok));
      const ear = new Ear(link, 1);
      ear.pauseAt = 1;
      await ear.count(1);
      await append(link, 'end', 60);
      ear.pauseAt = Infinity;
      ear.following.resume();
      await ear.count(61);
      assert.deepEqual(ear.sequences, range(1, 61));
      ear.following.stop();
      await link.close();
    });

    await t.test('the leader gives way', async () => {
      const link = await open('step');
      const before = (await stateOf(link)).leader!;
      const other = ['n0', 'n1', 'n2'].find((one) => one !== before)!;
      const isPlain = !(await link.stepDownLeader(other));
      if (isPlain) assert.equal(await link.stepDownLeader(), true);
      const sequence = await appendAgain(link, 'after');
      assert.equal(sequence, 1);
      if (!isPlain) assert.equal(await link.leader(), other);
      await link.close();
    });
  });

  test(`${name}: the leader is killed under a pipeline`, about, async () => {
    await using nats = await NatsCluster.start(program!);
    const link = await connectStream(optionsFor(nats, { cluster: 'kill' }));
    const ear = new Ear(link, 1);
    for (const i of range(0, 10)) await append(link, `m${i}`, i);
    await ear.count(10);
    const leader = NatsCluster.numberOf((await stateOf(link)).leader!);
    const flying = range(10, 16).map((i) => append(link, `m${i}`, i));
    await nats.signal(leader, 'SIGKILL');
    const outcomes = [
      ...(await Promise.all(flying)),
      ...(await Promise.all(range(26, 16).map((i) => append(link, `m${i}`, i)))),
    ];
    // It has happened under it: what came too late is in doubt, nothing else.
    const doubts = outcomes.filter((one) => !one.ok && one.why === 'unknown').length;
    assert.ok(doubts > 0, 'nothing was in flight when it was killed');
    const acked = outcomes.findIndex(({ ok }) => !ok);
    assert.ok(outcomes.slice(acked).every(({ ok }) => !ok));

    const end = await appendAgain(link, 'end');
    assert.ok(end > 10 + acked, 'what was acked is not there any more');
    for (const sequence of range(1, end - 1))
      assert.equal(text((await read(link, sequence))!.bytes), `m${sequence - 1}`);
    assert.equal(text((await read(link, end))!.bytes), 'end');
    await ear.count(end);
    assert.deepEqual(ear.sequences, range(1, end));
    await link.close();
  });

  test(`${name}: what is appended while NATS is away is in doubt, never sent`, about, async () => {
    await using nats = await NatsCluster.start(program!);
    const link = await connectStream(optionsFor(nats, { cluster: 'away' }));
    assert.deepEqual(await append(link, 'here', 0), { ok: true, sequence: 1 });
    await Promise.all([0, 1, 2].map((i) => nats.signal(i, 'SIGKILL')));
    const doubt = { ok: false, why: 'unknown' };
    while (link.connected()) assert.deepEqual(await append(link, 'going', 1), doubt);
    nats.startAll();
    // All the time, so that some come between the dial and the moment that it is usable again.
    const away: Promise<Appended>[] = [];
    while (!link.connected()) {
      away.push(append(link, 'away', 1));
      await sleep(1);
    }
    assert.ok(away.length > 0, 'it was never away');
    for (const outcome of await Promise.all(away)) assert.deepEqual(outcome, doubt);
    assert.equal(await appendAgain(link, 'again'), 2);
    await link.close();
  });

  test(
    `${name}: following goes on across a server that is killed and comes back`,
    about,
    async () => {
      await using nats = await NatsCluster.start(program!);
      const writer = await connectStream(optionsFor(nats, { cluster: 'across' }));
      const ear = new Ear(writer, 1);
      let last = 0;
      while (last < 10) last = await appendAgain(writer, `m${last}`);
      const killed = NatsCluster.numberOf((await stateOf(writer)).leader!);
      await nats.signal(killed, 'SIGKILL');
      while (last < 20) last = await appendAgain(writer, `m${last}`);
      await ear.count(last);
      nats.startOne(killed);
      while (last < 30) last = await appendAgain(writer, `m${last}`);
      await ear.count(last);
      assert.deepEqual(ear.sequences, range(1, last));
      assert.equal(ear.lost, undefined);
      ear.following.stop();
      await writer.close();
    },
  );
}
