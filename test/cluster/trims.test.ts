// The stream of a cluster goes as far as its log is trimmed, and no further, over real servers: a
// node that then builds its log of what is left has every message that is left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEGMENT_DATA_AT } from '../../assembly/layout.ts';
import { crc32c } from '../../src/codec/crc32c.ts';
import { type Envelope, readEnvelope } from '../../src/core/cluster/envelope.ts';
import { connectStream } from '../../src/io/cluster/jetstream.ts';
import { messageIn, stateOf } from '../../src/log/base/finding.ts';
import { until } from '../support/look.ts';
import { SERVERS } from './nats.ts';
import { CLUSTER, SEGMENT_BYTES, STREAM_BYTES } from './nodes.ts';
import { Rig } from './rig.ts';
import { optionsFor } from './stream-options.ts';
import { publish, take } from './traffic.ts';

const TIMEOUT_MS = 240_000;
const BODY = 50_000;
const BATCH = 20;

for (const { name, program, skip } of SERVERS)
  test(`${name}: the stream goes up to a segment that is needed`, {
    skip,
    timeout: TIMEOUT_MS,
  }, async () => {
    await using rig = await Rig.start(program!);
    const { nodes, nats } = rig;
    const { node: owner } = await nodes.owner();
    const others = nodes.running.filter((each) => each !== owner) as [number, number];
    const link = await connectStream(
      optionsFor(nats, { cluster: CLUSTER, maxBytes: STREAM_BYTES }),
    );
    try {
      // The first segment is needed until its one message is taken, and what is behind it in the
      // next one for longer.
      await publish(nodes.intake[owner]!, 9, ['the first']);
      for (let bytes = 0; bytes < SEGMENT_BYTES; bytes += BATCH * BODY) {
        const bodies = Array.from({ length: BATCH }, (_, i) => `${bytes + i}`.padEnd(BODY, '.'));
        await publish(nodes.intake[owner]!, 8, bodies);
        await take(nodes.exhaust[owner]!, 8, BATCH);
      }
      await publish(nodes.intake[owner]!, 7, ['left 1', 'left 2']);
      assert.equal((await stateOf(link)).first, 1);
      await take(nodes.exhaust[owner]!, 9, 1);
      const { first } = await until(
        () => stateOf(link),
        (state) => state.first > 1,
      );
      const { bytes } = (await messageIn(link, first))!;
      const { position } = readEnvelope(bytes, link.logId, crc32c) as Envelope;
      assert.equal(position, SEGMENT_BYTES + SEGMENT_DATA_AT);

      const [fresh, other] = others;
      await nodes.stop(fresh);
      nodes.forget(fresh);
      await nodes.start(fresh);
      assert.ok(nodes.said('cluster.built').length > 0, nodes.tell());
      const owned = nodes.ownings.length;
      await nodes.kill(other);
      await nodes.stop(owner);
      assert.equal((await nodes.owner(owned)).node, fresh);
      assert.deepEqual(await take(nodes.exhaust[fresh]!, 7, 2), ['left 1', 'left 2']);
    } finally {
      await link.close();
    }
  });
