// The system's socket table, read for peers that do not answer: texts as Linux prints them, and the
// key of a real connection.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { keyOf, parseTable, retransmissions } from '../../src/io/peers.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

function line(local: string, remote: string, retransmits: string): string {
  return `   1: ${local} ${remote} 01 00000064:00000000 01:00000014 ${retransmits}     0        0 12345 2 0000000000000000 20 4 30 10 -1`;
}

const CASES: [name: string, address: string, table: string][] = [
  ['IPv4', '10.1.2.3', '0302010A'],
  ['IPv4 in an IPv6 socket', '::ffff:10.1.2.3', '0000000000000000FFFF00000302010A'],
  ['the other spelling of it', '::FFFF:10.1.2.3', '0000000000000000FFFF00000302010A'],
  ['IPv6 loopback', '::1', '00000000000000000000000001000000'],
  ['IPv6', '2001:db8::ff00:42:8329', 'B80D01200000000000FF000029834200'],
  ['IPv6 in full', 'fe80:1:2:3:4:5:6:7', '010080FE030002000500040007000600'],
  ['IPv6 with a zone', 'fe80::1%eth0', '000080FE000000000000000001000000'],
  ['IPv6 that ends in zeros', '2001:db8::', 'B80D0120000000000000000000000000'],
];

for (const [name, address, table] of CASES) {
  test(`${name}: Node's form and the table's give one key`, () => {
    const text = [
      HEAD,
      line(`${table.replace(/./g, '0')}:0760`, `${table}:C350`, '00000003'),
      '',
    ].join('\n');
    const key = keyOf({ localPort: 1888, remoteAddress: address, remotePort: 50_000 });
    assert.deepEqual([...parseTable(text)], [[key, 3]]);
  });
}

test('only connections with unanswered retransmissions are taken; nonsense is not', () => {
  const local = '0100007F:0760';
  const text = [
    HEAD,
    line(local, '0100007F:C350', '00000000'),
    line(local, '0100007F:C351', '0000000F'),
    line(local, '0100007F:C352', 'xyz'),
    'nonsense',
    '',
  ].join('\n');
  assert.deepEqual([...parseTable(text).values()], [15]);
  assert.equal(parseTable('').size, 0);
});

test('different ports and addresses are different keys', () => {
  const peer = { localPort: 1888, remoteAddress: '10.0.0.1', remotePort: 5 };
  const keys = [
    keyOf(peer),
    keyOf({ ...peer, localPort: 1889 }),
    keyOf({ ...peer, remotePort: 6 }),
    keyOf({ ...peer, remoteAddress: '10.0.1.0' }),
    keyOf({ ...peer, remoteAddress: '::10.0.0.1'.replace('10.0.0.1', 'a00:1') }),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

for (const [host, table] of [
  ['127.0.0.1', '/proc/net/tcp'],
  ['::1', '/proc/net/tcp6'],
  ['::', '/proc/net/tcp6'],
] as const) {
  test(`a connection to a listener on ${host} is in ${table} under its key`, async (t) => {
    if (!fs.existsSync(table)) return t.skip(`no ${table}`);
    const server = net.createServer();
    const accepted = once(server, 'connection') as Promise<[net.Socket]>;
    server.listen(0, host);
    const bound = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]);
    if (!bound) return t.skip(`${host} cannot be listened on here`);
    const { port } = server.address() as net.AddressInfo;
    // "::" takes IPv4 as well, which Node then calls ::ffff:127.0.0.1.
    const client = net.connect(port, host === '::' ? '127.0.0.1' : host);
    const [socket] = await accepted;
    const key = keyOf({
      localPort: socket.localPort!,
      remoteAddress: socket.remoteAddress!,
      remotePort: socket.remotePort!,
    });
    // The table as it is, but as if every connection had retransmitted.
    const text = fs.readFileSync(table, 'utf8');
    const fields = (row: string) => row.replace(/( [0-9A-F]{2}:[0-9A-F]{8} )0{8}/, '$100000001');
    assert.ok(
      parseTable(text.split('\n').map(fields).join('\n')).has(key),
      `${key} is not in the table`,
    );
    assert.ok(!(await retransmissions()).has(key));
    client.destroy();
    socket.destroy();
    server.close();
  });
}
