// What a node makes of the owners that it hears: who owns, why it followed the one before, and
// whether it could hold the log that such an owner writes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  STREAM_BASE,
  STREAM_BEAT,
  STREAM_PART,
  STREAM_RESIGN,
  STREAM_START,
} from '../../assembly/layout-cluster.ts';
import { misfit, type OwnerIdentity, readIdentity } from '../../src/cluster/identity.ts';
import { Owners } from '../../src/cluster/owners.ts';

const LAYOUT = { segmentBytes: 64, segmentEntries: 10, maxMessage: 7 };

const identity = (node: number, more: Partial<OwnerIdentity> = {}): OwnerIdentity => ({
  node,
  life: `life of ${node}`,
  address: `10.0.0.${node}:4888`,
  dashboard: null,
  version: '9.9.9',
  ...LAYOUT,
  ...more,
});

const json = (of: unknown) => new TextEncoder().encode(JSON.stringify(of));

function owners() {
  const told: string[] = [];
  const all = new Owners({
    identity: identity(1),
    layout: LAYOUT,
    date: () => 'now',
    changed: ({ node }, epoch) => void told.push(`${node} owns ${epoch}`),
    refused: (why) => void told.push(why),
  });
  const say = (kind: number, of: OwnerIdentity, epoch: number, isPast = false) =>
    all.said(kind, json(of), epoch, of.node, isPast);
  return { all, told, say };
}

test('another owner is told once; why it took over is remembered, the newest first', () => {
  const { all, told, say } = owners();
  say(STREAM_START, identity(2), 1);
  say(STREAM_BEAT, identity(2), 1);
  say(STREAM_START, identity(3), 2);
  all.said(STREAM_RESIGN, json(''), 2, 3, false);
  say(STREAM_START, identity(2, { life: 'another' }), 3);
  assert.deepEqual(told, ['2 owns 1', '3 owns 2', '2 owns 3']);
  assert.deepEqual(
    all.takeOvers.map(({ node, epoch, why }) => [node, epoch, why]),
    [
      [2, 3, 'resigned'],
      [3, 2, 'silence'],
      [2, 1, 'first'],
    ],
  );
  assert.equal(all.other?.node, 2);
  all.own(4);
  assert.deepEqual([all.other, all.count, all.takeOvers[0]!.why], [undefined, 4, 'silence']);
});

test('what is read of the past tells nobody who owns now', () => {
  const { all, told, say } = owners();
  say(STREAM_START, identity(2), 1, true);
  say(STREAM_BEAT, identity(2), 1, true);
  assert.deepEqual([told, all.other, all.count], [[], undefined, 0]);
  say(STREAM_BEAT, identity(2), 1);
  assert.deepEqual(told, ['2 owns 1']);
});

test('more of an epoch that was read of the past tells who owns now, but a resign does not', () => {
  const { all, told, say } = owners();
  const batch = (epoch: number) => all.said(STREAM_PART, json(''), epoch, epoch + 1, false);
  say(STREAM_START, identity(2), 1, true);
  say(STREAM_START, identity(3), 2, true);
  batch(1);
  all.said(STREAM_RESIGN, json(''), 2, 3, false);
  assert.deepEqual(told, []);
  batch(2);
  batch(2);
  assert.deepEqual([told, all.other?.node, all.count], [['3 owns 2'], 3, 0]);
  // That of this node itself is over, and one that goes on says so itself.
  say(STREAM_START, identity(1), 3, true);
  batch(3);
  say(STREAM_START, identity(2), 4, true);
  say(STREAM_BEAT, identity(2), 4);
  batch(4);
  assert.deepEqual(told, ['3 owns 2', '2 owns 4']);
});

test('the list of those who took over does not grow for ever', () => {
  const { all, say } = owners();
  for (let epoch = 1; epoch <= 50; epoch++) say(STREAM_START, identity(2 + (epoch % 2)), epoch);
  assert.deepEqual([all.takeOvers.length, all.takeOvers[0]!.epoch, all.count], [20, 50, 50]);
});

test('an owner with another layout is refused, also where it is read of the past', () => {
  for (const key of Object.keys(LAYOUT) as (keyof typeof LAYOUT)[]) {
    const { told, say } = owners();
    say(STREAM_BEAT, identity(2, { [key]: 8 }), 5, true);
    assert.equal(told.length, 1, key);
    assert.match(
      told[0]!,
      /node 2, which owns the log, has .* 8, this one .*--(segment-size|memory|max-message)/,
    );
  }
  assert.equal(misfit(LAYOUT, identity(2)), undefined);
});

test('an owner with the number of this node is refused, if it goes on', () => {
  const { told, say } = owners();
  const other = identity(1, { life: 'of somebody else' });
  say(STREAM_BEAT, other, 5);
  say(STREAM_BEAT, other, 5);
  assert.deepEqual(told, ['1 owns 5'], 'a life of before may have sent a last beat or two');
  say(STREAM_BEAT, other, 5);
  assert.match(told[1]!, /10\.0\.0\.1:4888, is node 1, too: give each node another --cluster-node/);
  say(STREAM_BEAT, other, 5);
  assert.equal(told.length, 2);
});

test('what is no identity, or no word of an owner, changes nothing', () => {
  const { told, all } = owners();
  for (const text of ['', 'null', '7', '{"address":1}', '{"life":"x"}', '\u0000'])
    all.said(STREAM_BEAT, new TextEncoder().encode(text), 1, 2, false);
  all.said(STREAM_BASE, json(identity(2)), 1, 2, false);
  assert.deepEqual([told, all.other], [[], undefined]);
  assert.equal(readIdentity(new TextEncoder().encode('[]')), undefined);
});
