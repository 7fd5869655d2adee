// A sink or the relay behind a cluster port, and with ports of its own: what a node passes on goes
// where it would go directly. A program: `node build/bench/passing-owner.js TOKEN_FILE sink|relay`.

import type { Socket } from 'node:net';
import { NodeListener } from '../src/io/cluster/node-listener.ts';
import { NodeToken } from '../src/io/cluster/node-token.ts';
import { listen, onLeave, say } from './process.ts';
import { Relay } from './relaying.ts';
import { sink } from './sinking.ts';

const relay = new Relay('u64', 1000);
const addProducer = (socket: Socket) => {
  if (process.argv[3] === 'relay') relay.addProducer(socket);
  else sink(socket, 'u64');
};
const intake = await listen(addProducer);
const exhaust = await listen((socket) => relay.addConsumer(socket));
const nodes = new NodeListener({
  host: '127.0.0.1',
  port: 0,
  cluster: 'bench',
  logId: 0n,
  token: new NodeToken(process.argv[2]!),
  connectionsMax: 1000,
  isOwner: () => true,
  adopt: (socket, { side }) => {
    if (side === 'intake') addProducer(socket);
    else relay.addConsumer(socket);
    socket.resume();
  },
  orders: (socket) => socket.destroy(),
  follows: (socket) => socket.destroy(),
  notice: () => {},
});
const { port } = await nodes.listen();
onLeave(() => process.exit(0));
say('ready', { intake, exhaust, port });
