// Finds peers that are gone while data to them is in flight. TCP keep-alive is silent then, and the
// system retries for a quarter of an hour; but Linux shows in its socket table how often it has
// retransmitted without an answer. Elsewhere there is no such table and nothing is found.

import fs from 'node:fs';

/** A connection as the table names it. */
export interface PeerKey {
  localPort: number;
  remoteAddress: string;
  remotePort: number;
}

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];

/** One text for an address and ports, the same from Node's form and from the table's. */
export function keyOf(peer: PeerKey): string {
  return `${peer.localPort}-${hexAddress(peer.remoteAddress)}:${peer.remotePort}`;
}

// The table prints addresses as 32-bit words in the machine's byte order, which is little-endian on
// everything Node runs on. IPv4 in an IPv6 socket is written as IPv4.
function hexAddress(address: string): string {
  const four = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(address);
  if (four !== null) return four.slice(1).map(Number).reverse().map(hexByte).join('');
  const [head, tail] = address.replace(/%.*$/, '').split('::');
  const left = head === undefined || head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  const bytes = groups.flatMap((group: string) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
  let hex = '';
  for (let i = 0; i < 16; i += 4)
    hex += bytes
      .slice(i, i + 4)
      .reverse()
      .map(hexByte)
      .join('');
  return hex;
}

function hexByte(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}

const MAPPED = /^0{16}FFFF0{4}/i;

/** Unanswered retransmissions by key, from the text of a socket table; only where there are any. */
export function parseTable(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local, remote, , , , retransmits] = fields;
    if (local === undefined || remote === undefined || retransmits === undefined) continue;
    const count = Number.parseInt(retransmits, 16);
    if (!(count > 0)) continue;
    const localPort = Number.parseInt(local.split(':')[1]!, 16);
    const [address, port] = remote.split(':') as [string, string];
    const plain = address.length === 32 ? address.replace(MAPPED, '') : address;
    found.set(`${localPort}-${plain}:${Number.parseInt(port, 16)}`, count);
  }
  return found;
}

/** Reads the tables; an empty map where there are none. */
export async function retransmissions(): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const table of TABLES) {
    const text = await fs.promises.readFile(table, 'utf8').catch(() => '');
    for (const [key, count] of parseTable(text)) found.set(key, count);
  }
  return found;
}
