// Addresses as people write them: hosts, listeners, and whether one can be reached from elsewhere.

import { BlockList, isIPv6 } from 'node:net';
import { type HostPort, parseAuthority } from '../core/text/address.ts';

export type Wire = 'u64' | 'u32';

/** One listening address before its wire and host defaults are filled in. */
export interface ListenerText extends HostPort {
  wire?: Wire | undefined;
}

/** The shortest spelling of an address, as browsers and URLs have it: `[0:0:0:0:0:0:0:1]` → `::1`. */
export function canonicalHost(raw: string): string {
  const bare = raw.replace(/^\[([0-9a-f:.]+(?:%\w+)?)\]$/i, '$1');
  if (!isIPv6(bare) || bare.includes('%')) return bare; // a zone has no place in a URL
  const short = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short);
  if (mapped === null) return short;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

// However it is written: also 0:0:0:0:0:0:0:1 and ::ffff:127.0.0.1.
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether an address can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (isIPv6(bare)) return LOOPBACK.check(bare, 'ipv6');
  return /^(localhost|127\.\d+\.\d+\.\d+)$/i.test(bare);
}

/**
 * Reads `HOST:PORT[,wire=u64|u32]`; an IPv6 address stands in brackets.
 * @throws RangeError when the text has another shape.
 */
export function parseListener(raw: string): ListenerText {
  const [address, ...options] = raw.trim().split(',');
  const found = parseAuthority(address);
  if (found === undefined)
    throw new RangeError(`"${raw}" is not HOST:PORT[,wire=u64|u32] (IPv6: [::1]:1888)`);
  const result: ListenerText = { host: canonicalHost(found.host), port: found.port };
  for (const option of options) {
    if (option === 'wire=u64' || option === 'wire=u32') result.wire = option.slice(5) as Wire;
    else throw new RangeError(`"${option}" in "${raw}" is unknown; only wire=u64 or wire=u32 fits`);
  }
  return result;
}
