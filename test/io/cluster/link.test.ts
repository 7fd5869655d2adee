// The stream over a client of NATS whose every answer the test gives.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamState } from '../../../src/core/ports/stream.ts';
import { JetStreamLink } from '../../../src/io/cluster/jetstream.ts';
import type { Nats, StreamInfo } from '../../../src/io/cluster/nats.ts';
import type { StreamOptions } from '../../../src/io/cluster/opening.ts';
import type { ServerVerdict } from '../../../src/io/cluster/server-verdict.ts';
import { streamConfig } from '../../../src/io/cluster/stream-settings.ts';

const CHOICE = { cluster: 'test', shard: 0, maxBytes: 1000, replicas: 3 };
const MADE = '2026-01-02T03:04:05.000Z';

function link() {
  const told = { created: MADE, reconnects: 0 };
  const info = () => {
    const state = { first_seq: 1, last_seq: 7, bytes: 70, messages: 7 };
    const { created } = told;
    return { config: streamConfig(CHOICE, 5n), state, created } as unknown as StreamInfo;
  };
  const nats = {
    connection: {
      status: async function* () {},
      close: async () => {},
      reconnect: async () => void told.reconnects++,
    },
    manager: { streams: { info: async () => info() }, direct: { getMessage: async () => null } },
  } as unknown as Nats;
  const options = { ...CHOICE, warn: () => {} } as unknown as StreamOptions;
  return { told, link: new JetStreamLink(nats, options, info(), {} as ServerVerdict) };
}

const stateOf = (of: JetStreamLink) =>
  new Promise<StreamState>((resolve, reject) =>
    of.state((failure, state) => (state === undefined ? reject(failure) : resolve(state))),
  );

test('another copy that leads the stream may tell another time; another stream is told', async () => {
  const { told, link: one } = link();
  told.created = '2026-01-02T03:04:05.007Z';
  assert.equal((await stateOf(one)).created, MADE);
  told.created = '2026-01-02T04:00:00.000Z';
  assert.equal((await stateOf(one)).created, told.created);
  await one.close();
});

test('a node whose server does not show what its leader has goes to another server', async (t) => {
  const { told, link: one } = link();
  let nowMs = 1000;
  t.mock.method(performance, 'now', () => nowMs);
  const read = (sequence: number) =>
    new Promise<unknown>((resolve, reject) =>
      one.read(sequence, (failure, found) => (failure ? reject(failure) : resolve(found))),
    );
  await stateOf(one);
  for (; nowMs < 3000; nowMs += 500) assert.equal(await read(7), undefined);
  assert.equal(told.reconnects, 0);
  await read(7);
  assert.equal(told.reconnects, 1);
  for (; nowMs < 9000; nowMs += 500) await read(8);
  assert.equal(told.reconnects, 1);
  await one.close();
});
