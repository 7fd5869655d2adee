// Who may connect: the cap on all, the cap per address, and what counts as one address.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WIRE_U64 } from '../../../assembly/layout.ts';
import { Admission, groupOf } from '../../../src/core/connections/admission.ts';
import { brokerOf, FakeLink } from '../../support/world.ts';

const ADDRESSES: [string | undefined, string | undefined][] = [
  [undefined, undefined],
  ['127.0.0.1', undefined],
  ['127.9.8.7', undefined],
  ['::1', undefined],
  ['::ffff:127.0.0.1', undefined],
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['1270.0.0.1.example', '1270.0.0.1.example'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::9', '2001:db8:1:3::/64'],
  ['2001:0db8::7', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::2', '0:0:0:0::/64'],
];

for (const [address, group] of ADDRESSES)
  test(`${address} counts as ${group ?? 'nobody'}`, () => assert.equal(groupOf(address), group));

test('one address gets its share and no more; the others and loopback still come in', () => {
  const admission = new Admission({ connectionsMax: 6, connectionsPerAddressMax: 2 });
  assert.equal(admission.enter('10.0.0.1'), undefined);
  assert.equal(admission.enter('::ffff:10.0.0.1'), undefined);
  assert.equal(admission.enter('10.0.0.1'), 'address');
  assert.equal(admission.enter('10.0.0.2'), undefined);
  for (let i = 0; i < 3; i++) assert.equal(admission.enter('127.0.0.1'), undefined);
  assert.equal(admission.enter('10.0.0.3'), 'full');
  assert.equal(admission.enter('127.0.0.1'), 'full');
  admission.leave('10.0.0.1');
  assert.equal(admission.enter('10.0.0.1'), undefined);
});

test('who has left leaves nothing behind', () => {
  const admission = new Admission({ connectionsMax: 10, connectionsPerAddressMax: 5 });
  for (const address of ['10.0.0.1', '10.0.0.1', '2001:db8::1', '::1', undefined])
    assert.equal(admission.enter(address), undefined);
  assert.equal(admission.groups, 2);
  for (const address of ['10.0.0.1', '10.0.0.1', '2001:db8::2', '::1', undefined])
    admission.leave(address);
  assert.equal(admission.groups, 0);
  assert.equal(admission.open, 0);
});

test('the broker closes the connection, says why, and lets the next one in', () => {
  const { broker, notices } = brokerOf({ limits: { connectionsPerAddressMax: 1 } });
  const linkFrom = (address: string) => Object.assign(new FakeLink(WIRE_U64), { address });
  const first = broker.openProducer(linkFrom('10.0.0.1'));
  const second = linkFrom('10.0.0.1');
  assert.equal(broker.openConsumer(second), undefined);
  assert.equal(second.destroyed, true);
  assert.equal(notices.at(-1)?.kind, 'connections.address');
  assert.match(notices.at(-1)?.text ?? '', /1 connections from that address.*per-address/);
  assert.ok(broker.openConsumer(linkFrom('10.0.0.2')) !== undefined);
  first?.gone();
  assert.ok(broker.openConsumer(linkFrom('10.0.0.1')) !== undefined);
});
