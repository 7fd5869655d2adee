// A broker as it is with a cluster port, and other nodes that pass their clients on to it.

import type { TestContext } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import { Nodes } from '../../../src/io/cluster/nodes.ts';
import { OrderServer } from '../../../src/io/cluster/order-server.ts';
import { type Server, startServer } from '../../../src/server.ts';
import { temporaryFolder } from '../../support/broker.ts';
import { OtherNode, OwnerSide, tokenFile } from './rig.ts';

const silent = () => {};
const log = {
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
};

/** A broker, and its cluster port. */
export async function startOwner(
  t: TestContext,
  flags: object = {},
): Promise<{ server: Server; owner: OwnerSide; at: { host: string; port: number } }> {
  const { config } = await loadConfig({
    flags: { data_dir: temporaryFolder(), intake_port: 0, exhaust_port: 0, ...flags },
    environment: {},
    workingDir: process.cwd(),
    terminal: false,
  });
  const server = await startServer({ config, log, version: '9.9.9' });
  const nodes = new Nodes(() => {});
  const orders = new OrderServer({
    isOwner: () => true,
    carryOut: (command, done) => server.command(command, done),
    heard: (status) => {
      nodes.heard(status, performance.now());
      return nodes.seen(performance.now());
    },
    notice: () => {},
  });
  const owner = await new OwnerSide({
    token: new NodeToken(tokenFile()),
    adopt: (socket, client) => server.adopt(socket, client.side, client),
    orders: (socket, from) => orders.adopt(socket, from),
  }).listen();
  t.after(async () => {
    owner.close();
    orders.drop();
    await server.close();
  });
  return { server, owner, at: { host: '127.0.0.1', port: owner.port } };
}

export async function startNode(
  t: TestContext,
  owner: { host: string; port: number },
  wire = 8,
  addressOf?: () => string,
): Promise<OtherNode> {
  const node = await new OtherNode().listen(wire, addressOf);
  t.after(() => node.close());
  node.splicer.owner(owner);
  return node;
}
