// Opening the stream of a cluster: what is refused and what is said then, and who waits for what.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  connectStream,
  type JetStreamLink,
  type StreamOptions,
  StreamRefused,
} from '../../../src/io/cluster/jetstream.ts';
import { dial } from '../../../src/io/cluster/nats.ts';
import { streamConfig } from '../../../src/io/cluster/stream-settings.ts';
import { NatsCluster, SERVERS, untilAnswered } from '../../cluster/nats.ts';
import { optionsFor } from '../../cluster/stream-options.ts';

const TIMEOUT_MS = 60_000;
const USERS = 'authorization { user: a, password: b }';

// 74 where what a node knew is gone: its own copy may be all that is left.
const isRefusal = (pattern: RegExp) => (error: Error) => {
  assert.ok(error instanceof StreamRefused, `${error.stack}`);
  assert.equal(error.exitCode, /is gone|made anew/.test(error.message) ? 74 : 78);
  assert.match(error.message, pattern);
  return true;
};

for (const { name, program, skip } of SERVERS) {
  const about = { ...(skip === undefined ? {} : { skip }), timeout: TIMEOUT_MS };

  test(`${name}: a stream that is not as it was made is refused`, about, async (t) => {
    await using nats = await NatsCluster.start(program!);
    const options = optionsFor(nats);
    const link = await connectStream(options);
    await link.close();
    const { connection, manager } = await dial(options);
    const refuses = (more: Partial<StreamOptions>, pattern: RegExp) =>
      assert.rejects(connectStream(optionsFor(nats, more)), isRefusal(pattern));

    await t.test('the same one is taken again', async () => {
      const again = await connectStream({ ...options, createdBefore: link.created });
      assert.equal(again.created, link.created);
      await again.close();
    });

    await t.test('other bytes than the operator says', () =>
      refuses({ maxBytes: 1024 * 1024 }, /TMQ_test_0 may hold 67108864 bytes, --cluster-max-bytes/),
    );

    await t.test('a setting that could lose messages', async () => {
      const wanted = streamConfig(options, 7n);
      for (const [changed, pattern] of [
        [{ max_age: 3_600_000_000_000 }, /max_age is 3600000000000, not 0.*nats stream edit/],
        [{ max_msgs: 10 }, /max_msgs is 10, not -1/],
        [{ discard: 'old' }, /discard is "old", not "new"/],
      ] as const) {
        const other = { ...wanted, ...changed } as never;
        await untilAnswered(() => manager.streams.update('TMQ_test_0', other));
        await refuses({}, pattern);
      }
      await untilAnswered(() => manager.streams.update('TMQ_test_0', wanted as never));
      await (await connectStream(options)).close();
    });

    await t.test('one made by others', async () => {
      const { description, ...bare } = streamConfig({ ...options, cluster: 'other' }, 7n);
      assert.match(description, /ThrustMQ/);
      await untilAnswered(() => manager.streams.add(bare as never));
      await refuses({ cluster: 'other' }, /TMQ_other_0 was not made by ThrustMQ.*another name/);
    });

    await t.test('its subject taken by another stream', async () => {
      const taken = { name: 'X', subjects: ['tmq.taken.>'], storage: 'memory' };
      await untilAnswered(() => manager.streams.add(taken as never));
      await refuses({ cluster: 'taken' }, /NATS refuses stream TMQ_taken_0 \(10065\)/);
    });

    await t.test('one made anew, and one that is gone', async () => {
      await manager.streams.delete('TMQ_test_0');
      const known = { createdBefore: link.created };
      await refuses(known, /stream TMQ_test_0, which this node knows, is gone/);
      const anew = await connectStream(options);
      await anew.close();
      await refuses(known, /TMQ_test_0 was made anew at .*restore the cluster/);
    });
    await connection.close();
  });

  test(`${name}: what its servers do decides what an ack means`, about, async () => {
    await using nats = await NatsCluster.start(program!);
    const open = (more: Partial<StreamOptions>) => connectStream(optionsFor(nats, more));
    if (!program!.syncs) {
      await assert.rejects(
        open({ unsafeServer: false }),
        isRefusal(/servers that may lose what they acked: .*2\.9\.10.*--cluster-unsafe-server/),
      );
      const warnings: string[] = [];
      const link = await open({ warn: (text) => warnings.push(text) });
      assert.equal(link.verdict.safe, false);
      assert.match(link.verdict.means, /^on the disk of the owner/);
      assert.match(warnings.join('\n'), /may lose what they acked/);
      assert.match(warnings.join('\n'), /servers ack before they sync: n\d/);
      return await link.close();
    }
    const seen = await open({ unsafeServer: false });
    assert.deepEqual([seen.verdict.safe, seen.verdict.warnings], [true, []]);
    assert.equal(seen.maxPayload, 1024 * 1024);
    await seen.close();
    const unseen = { unsafeServer: false, monitors: nats.monitors.slice(0, 2) };
    await assert.rejects(open(unseen), isRefusal(/could not be seen: n\d.*--cluster-nats-monitor/));
    const stated = await open({ ...unseen, synced: true });
    assert.equal(stated.verdict.safe, true);
    assert.match(stated.verdict.warnings.join(), /is stated .*, not seen: n\d/);
    await stated.close();
    const accepted = await open({ ...unseen, unsafeSync: true });
    assert.equal(accepted.verdict.safe, false);
    assert.match(accepted.verdict.means, /^in the memory of two/);
    await accepted.close();
  });

  test(`${name}: NATS that is away is waited for`, about, async () => {
    await using nats = await NatsCluster.make(program!);
    let opening: Promise<JetStreamLink> | undefined;
    const said = await new Promise<string>((warn) => {
      opening = connectStream(optionsFor(nats, { warn }));
    });
    assert.match(said, /^NATS is not there yet: .*; trying again$/);
    nats.startAll();
    const link = await opening!;
    assert.equal(link.connected(), true);
    await link.close();
  });

  test(`${name}: the wait for NATS can be ended`, about, async () => {
    await using nats = await NatsCluster.make(program!);
    const ending = new AbortController();
    const warn = (): void => ending.abort(new Error('not any more'));
    const opening = connectStream(optionsFor(nats, { warn, signal: ending.signal }));
    await assert.rejects(opening, /^Error: not any more$/);
  });

  test(`${name}: who is not let in is told what to look at`, about, async () => {
    await using nats = await NatsCluster.make(program!, { config: USERS });
    nats.startOne(0);
    await assert.rejects(
      connectStream(optionsFor(nats)),
      isRefusal(/does not let this node in: .*--cluster-nats-creds/i),
    );
    const credsFile = path.join(os.tmpdir(), `thrustmq-none-${process.pid}.creds`);
    assert.equal(fs.existsSync(credsFile), false);
    await assert.rejects(
      connectStream(optionsFor(nats, { credsFile })),
      isRefusal(/cannot read the credentials for NATS: ENOENT/),
    );
  });
}
