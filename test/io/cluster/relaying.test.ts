// A reader of the stream beside an owner that relays, over real servers of NATS: while the relay
// brings what comes the servers hand nothing out, and whatever it does not bring is heard all the
// same.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import type { Appended, StreamMessage } from '../../../src/core/ports/stream.ts';
import { connectStream, type JetStreamLink } from '../../../src/io/cluster/jetstream.ts';
import { dial } from '../../../src/io/cluster/nats.ts';
import type { RelayEar } from '../../../src/io/cluster/relayed.ts';
import { NatsCluster, SERVERS, untilAnswered } from '../../cluster/nats.ts';
import { optionsFor } from '../../cluster/stream-options.ts';

const TIMEOUT_MS = 120_000;

/** An owner, and a node that follows it; the relay between them is in the hands of a test. */
class Pair {
  readonly owner: JetStreamLink;
  readonly node: JetStreamLink;
  readonly heard: [number, string][] = [];
  readonly #said = new EventEmitter();
  #ear: RelayEar | undefined;
  /** What it passes on of what is stored; default: all. */
  passes: (sequence: number) => boolean = () => true;
  listens = 0;
  last = 0;

  constructor(owner: JetStreamLink, node: JetStreamLink) {
    this.owner = owner;
    this.node = node;
    owner.relayBy({
      source: { listen: () => undefined },
      stored: (sequence, bytes) => {
        if (this.passes(sequence)) this.#ear?.hear({ sequence, bytes: Uint8Array.from(bytes) });
      },
    });
    node.relayBy({
      stored: () => assert.fail('nothing is appended here'),
      source: {
        listen: (ear) => {
          this.listens++;
          this.#ear = ear;
          this.#said.emit('any');
          return () => this.breakOff();
        },
      },
    });
  }

  get isListening(): boolean {
    return this.#ear !== undefined;
  }

  breakOff(): void {
    const ear = this.#ear;
    this.#ear = undefined;
    ear?.ended();
    this.#said.emit('any');
  }

  async until(check: () => boolean): Promise<void> {
    while (!check()) await once(this.#said, 'any');
  }

  follow(from = 1): { stop(): void } {
    const hear = ({ sequence, bytes }: StreamMessage): boolean => {
      this.heard.push([sequence, Buffer.from(bytes).toString()]);
      this.#said.emit('any');
      return true;
    };
    return this.node.follow(from, hear, (why) => assert.fail(why));
  }

  /** Appends so many, one after the other. */
  async append(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const body = Buffer.from(`message ${this.last + 1}`);
      const appended = await new Promise<Appended>((resolve) =>
        this.owner.append(body.subarray(0, 3), body.subarray(3), this.last, resolve),
      );
      assert.ok(appended.ok, JSON.stringify(appended));
      this.last = appended.sequence;
    }
  }

  /** All that was appended, once, in order. */
  async all(): Promise<void> {
    await this.until(() => this.heard.length >= this.last);
    const wanted = Array.from({ length: this.last }, (_, i) => [i + 1, `message ${i + 1}`]);
    assert.deepEqual(this.heard, wanted);
  }
}

for (const server of SERVERS)
  test(`${server.name}: a stream that is relayed`, {
    skip: server.skip,
    timeout: TIMEOUT_MS,
  }, async (t) => {
    await using nats = await NatsCluster.start(server.program!);
    let count = 0;
    const pairOn = async (t: { after: (call: () => Promise<void>) => void }) => {
      const options = optionsFor(nats, { cluster: `relayed-${++count}`, maxBytes: 64 * 1024 ** 2 });
      const pair = new Pair(await connectStream(options), await connectStream(options));
      t.after(async () => {
        await pair.owner.close();
        await pair.node.close();
      });
      return pair;
    };

    /** With one message, which was heard or is about to be. */
    const listeningOn = async (t: Parameters<typeof pairOn>[0]) => {
      const pair = await pairOn(t);
      await pair.append(1);
      pair.follow();
      await pair.until(() => pair.isListening);
      return pair;
    };

    await t.test('near its end the relay brings everything, and no consumer is left', async (t) => {
      const pair = await pairOn(t);
      await pair.append(30);
      pair.follow();
      await pair.all();
      await pair.until(() => pair.isListening);
      const { manager, connection } = await dial({ servers: nats.urls, warn() {} });
      t.after(() => connection.close());
      const consumers = async (): Promise<number> =>
        (await untilAnswered(() => manager.streams.info(pair.node.name))).state.consumer_count;
      await pair.append(30);
      await pair.all();
      while ((await consumers()) > 0);
      await pair.append(30);
      await pair.all();
      assert.equal(await consumers(), 0);
      assert.equal(pair.listens, 1);
    });

    await t.test('what it leaves out is looked up, and it is heard on', async (t) => {
      const pair = await listeningOn(t);
      await pair.append(5);
      await pair.all();
      for (const left of [9, 15, 22]) {
        pair.passes = (sequence) => sequence !== left;
        await pair.append(6);
        await pair.all();
      }
      assert.equal(pair.listens, 1);
    });

    await t.test('one that falls silent is left for the stream itself', async (t) => {
      const pair = await listeningOn(t);
      await pair.append(5);
      await pair.all();
      pair.passes = () => false;
      while (pair.isListening) {
        await pair.append(1);
        await pair.all();
      }
      await pair.append(20);
      await pair.all();
      // It is tried again later.
      pair.passes = () => true;
      while (pair.listens < 2) {
        await pair.append(1);
        await pair.all();
      }
    });

    await t.test('one that breaks off leaves no gap', async (t) => {
      const pair = await listeningOn(t);
      await pair.append(3);
      const broken = pair.until(() => pair.heard.length > 10).then(() => pair.breakOff());
      await pair.append(40);
      await broken;
      await pair.all();
    });

    await t.test('who stops listens no more', async (t) => {
      const pair = await pairOn(t);
      await pair.append(1);
      const following = pair.follow();
      await pair.until(() => pair.isListening);
      following.stop();
      assert.equal(pair.isListening, false);
      await pair.append(3);
      assert.ok(pair.heard.length <= 1);
    });
  });
