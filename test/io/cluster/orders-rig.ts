// What tests of orders share: a status, an owner's side that answers, the other side, and frames by
// hand.

import { EventEmitter, once } from 'node:events';
import type { NodeStatus } from '../../../src/contract/cluster.ts';
import type { Command, Outcome } from '../../../src/contract/commands.ts';
import type { SeenNode } from '../../../src/contract/orders.ts';
import type { NodeListenerOptions } from '../../../src/io/cluster/node-listener.ts';
import { NodeToken } from '../../../src/io/cluster/node-token.ts';
import { OrderClient, type OrderClientOptions } from '../../../src/io/cluster/order-client.ts';
import { OrderServer, type OrderServerOptions } from '../../../src/io/cluster/order-server.ts';
import { Notices, OwnerSide, tokenFile } from './rig.ts';

export function statusOf(node: number, changes: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node,
    address: `192.0.2.${node}:3888`,
    dashboard: `192.0.2.${node}:4888`,
    version: '9.9.9',
    startedAt: '2026-01-01T00:00:00.000Z',
    state: 'following',
    epoch: 3,
    position: '18446744073709551615',
    sequence: 77,
    lag: 0,
    lagMs: 0.5,
    blocked: null,
    building: null,
    ...changes,
  };
}

export interface Carried {
  command: Command;
  done: (outcome: Outcome) => void;
}

/** An owner that carries out as the test says, behind its cluster port. */
export class AnsweringOwner {
  readonly carried: Carried[] = [];
  readonly statuses: NodeStatus[] = [];
  readonly server: OrderServer;
  readonly side: OwnerSide;
  readonly notices: Notices;
  readonly #came = new EventEmitter();
  nodes: SeenNode[] = [];
  isOwner = true;
  /** What to do with a command; else it waits in `carried`. */
  answers: ((command: Command) => Outcome) | undefined;

  constructor(
    options: Partial<OrderServerOptions> = {},
    listener: Partial<NodeListenerOptions> = {},
  ) {
    this.side = new OwnerSide({
      token: new NodeToken(tokenFile()),
      orders: (socket, from) => this.server.adopt(socket, from),
      ...listener,
    });
    this.notices = this.side.notices;
    this.server = new OrderServer({
      isOwner: () => this.isOwner,
      carryOut: (command, done) => {
        if (this.answers !== undefined) done(this.answers(command));
        else this.carried.push({ command, done });
        this.#came.emit('came');
      },
      heard: (status) => {
        this.statuses.push(status);
        this.#came.emit('came');
        return this.nodes;
      },
      notice: this.notices.notice,
      ...options,
    });
  }

  async listen(): Promise<this> {
    await this.side.listen();
    return this;
  }

  get at(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.side.port };
  }

  /** The next command that is to be carried out. */
  async next(): Promise<Carried> {
    while (this.carried.length === 0) await once(this.#came, 'came');
    return this.carried.shift()!;
  }

  async nextStatus(): Promise<NodeStatus> {
    while (this.statuses.length === 0) await once(this.#came, 'came');
    return this.statuses.shift()!;
  }

  close(): void {
    this.side.close();
    this.server.drop();
  }
}

/** A node that orders; says how it is only when an owner is named, unless told. */
export class OrderingNode {
  readonly notices = new Notices();
  readonly heard: SeenNode[][] = [];
  readonly client: OrderClient;
  readonly #came = new EventEmitter();
  status = statusOf(2);

  constructor(options: Partial<OrderClientOptions> = {}) {
    this.client = new OrderClient({
      cluster: 'prod',
      node: 'b',
      token: new NodeToken(tokenFile()),
      status: () => this.status,
      heard: (nodes) => {
        this.heard.push(nodes);
        this.#came.emit('came');
      },
      notice: this.notices.notice,
      statusMs: 2 ** 30,
      retryMs: 5,
      ...options,
    });
  }

  ask(command: Command): Promise<Outcome> {
    return new Promise((resolve) => this.client.ask(command, resolve));
  }

  async nextHeard(): Promise<SeenNode[]> {
    while (this.heard.length === 0) await once(this.#came, 'came');
    return this.heard.shift()!;
  }
}

/** A frame with anything in it. */
export function rawFrame(number: number, content: string | object, length?: number): Buffer {
  const json = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(length ?? json.length, 0);
  head.writeUInt32LE(number, 4);
  return Buffer.concat([head, json]);
}
