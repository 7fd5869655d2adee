// A node that passes its clients on to an owner: nothing but its listeners and the splicer.
// `node build/bench/passing-node.js TOKEN_FILE PORT`, the owner's cluster port, runs it.

import type { Side } from '../src/contract/snapshot.ts';
import { NodeToken } from '../src/io/cluster/node-token.ts';
import { Splicer } from '../src/io/cluster/splicer.ts';
import { Listeners } from '../src/io/tcp/listeners.ts';
import { onLeave, say } from './process.ts';

const splicer = new Splicer({
  cluster: 'bench',
  node: '2',
  token: new NodeToken(process.argv[2]!),
  limits: { connectionsMax: 1000, connectionsPerAddressMax: 1000 },
  bytesMax: 64 * 1024 * 1024,
  nowMs: () => performance.now(),
  notice: () => {},
});
splicer.owner({ host: '127.0.0.1', port: Number(process.argv[3]) });
const listeners = new Listeners();
const readInto = new Uint8Array(64 * 1024);
const listen = async (side: Side): Promise<number> => {
  const accept = (link: Parameters<Splicer['splice']>[0]) => splicer.splice(link, side);
  return (await listeners.listen({ host: '127.0.0.1', port: 0, wire: 8, accept, readInto })).port;
};
const intake = await listen('intake');
const exhaust = await listen('exhaust');
onLeave(() => process.exit(0));
say('ready', { intake, exhaust });
