// The ports of a broker for its clients, as the settings say: opened one by one, each with what to
// do with a connection.

import type { AddressInfo } from 'node:net';
import { WIRE_U32, WIRE_U64 } from '../assembly/layout.ts';
import type { BrokerConfig, Listener } from './config/load.ts';
import type { Side } from './contract/snapshot.ts';
import { authority } from './core/text/address.ts';
import { StartError } from './data-folder.ts';
import type { ListenOptions } from './io/tcp/link.ts';
import type { Listeners } from './io/tcp/listeners.ts';

export interface Addresses {
  intake: AddressInfo[];
  exhaust: AddressInfo[];
}

export type Door = Pick<ListenOptions, 'accept' | 'readInto'>;

/**
 * Opens all of them; what is open by then stands in `addresses`.
 * @throws StartError 1 for a port that cannot be had.
 */
export async function openDoors(
  listeners: Listeners,
  config: Pick<BrokerConfig, Side>,
  doorTo: (side: Side) => Door,
  addresses: Addresses,
): Promise<void> {
  for (const side of ['intake', 'exhaust'] as const)
    for (const listener of config[side])
      addresses[side].push(await openDoor(listeners, listener, doorTo(side)));
}

async function openDoor(
  listeners: Listeners,
  { host, port, wire }: Listener,
  door: Door,
): Promise<AddressInfo> {
  try {
    const bytes = wire === 'u64' ? WIRE_U64 : WIRE_U32;
    return await listeners.listen({ host, port, wire: bytes, ...door });
  } catch (error) {
    throw cannotListen(host, port, error as NodeJS.ErrnoException);
  }
}

/** What a start says of a port that it could not have. */
export function cannotListen(host: string, port: number, cause: NodeJS.ErrnoException): StartError {
  const hint =
    cause.code === 'EADDRINUSE'
      ? 'another program uses that port; stop it or choose another port (0 = any free one)'
      : cause.message;
  return new StartError(1, `cannot listen on ${authority(host, port)}: ${hint}`, { cause });
}
