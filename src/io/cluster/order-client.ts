// The other nodes' side of orders: commands go to whoever owns the log, and once a second how this
// node is. One connection, made when something is to be said and made again when it is lost. What
// was sent and not answered is never sent again: it may have been carried out.

import type net from 'node:net';
import type { NodeStatus } from '../../contract/cluster.ts';
import { CHANGES, type Command, type Outcome, type Refusal } from '../../contract/commands.ts';
import { IS_LOCAL, type Order, type OrderAnswer, type SeenNode } from '../../contract/orders.ts';
import { authority, type HostPort } from '../../core/text/address.ts';
import { deadline } from '../../time/deadline.ts';
import { after, cancel, every, type Timer } from '../../time/timers.ts';
import { connectTo, type NodeIdentity } from './node-connection.ts';
import type { Notice } from './node-listener.ts';
import {
  ANSWER_BYTES_MAX,
  FrameReader,
  frameOf,
  ORDER_BYTES_MAX,
  ORDERS_MAX,
} from './order-frames.ts';
import { readJson, readOrderAnswer } from './order-shapes.ts';

/** Below the 5 s that a dashboard waits for its broker: it is told why there is no outcome. */
const ANSWER_MS = 4500;
const STATUS_MS = 1000;
const RETRY_MS = 200;
/** Bytes of all that waits for an answer. */
const WAITING_BYTES_MAX = 4 * ORDER_BYTES_MAX;

export interface OrderClientOptions extends NodeIdentity {
  /** How this node is now. */
  status: () => NodeStatus;
  /** All nodes, as the owner has heard of them. */
  heard: (nodes: SeenNode[]) => void;
  notice: Notice;
  answerMs?: number;
  statusMs?: number;
  retryMs?: number;
}

type Done = (outcome: Outcome) => void;

interface Asked {
  readonly number: number;
  readonly frame: Buffer;
  readonly timer: Timer;
  /** Undefined: it is the node's status. */
  readonly command: { isChange: boolean; done: Done } | undefined;
  isSent: boolean;
}

export class OrderClient {
  readonly #options: OrderClientOptions;
  readonly #asked = new Map<number, Asked>();
  readonly #ticker: Timer;
  #number = 0;
  #waitingBytes = 0;
  #owner: HostPort | undefined;
  #dashboard: string | null = null;
  #socket: net.Socket | undefined;
  #isJoined = false;
  #frames = new FrameReader(ANSWER_BYTES_MAX);
  #retry: Timer | undefined;
  #why = '';
  #isStatusAsked = false;

  constructor(options: OrderClientOptions) {
    this.#options = options;
    this.#ticker = every(options.statusMs ?? STATUS_MS, () => this.#sayStatus()).unref();
  }

  /** Where the owner is; undefined: nobody knows, or it is this node. */
  owner(address: HostPort | undefined): void {
    const before = this.#owner;
    if (before?.host === address?.host && before?.port === address?.port) return;
    const why = `${this.#ownerText} is not the owner any more`;
    this.#owner = address;
    this.#dashboard = null;
    this.#why = '';
    cancel(this.#retry);
    this.#retry = undefined;
    const waits = [...this.#asked.values()].filter(({ isSent }) => !isSent);
    this.#lost(why).socket?.destroy();
    for (const asked of waits) if (this.#forget(asked)) unsent(asked, why);
    if (address !== undefined) this.#sayStatus();
  }

  /**
   * Has a command carried out by the owner. `done` comes once, in this turn or a later one, at most
   * 4.5 s from now; where the owner goes away meanwhile, the refusal says that nobody knows.
   */
  ask(command: Command, done: Done): void {
    const { kind } = command;
    const refusal = this.#owner === undefined ? NO_OWNER : this.#refusalOf(kind);
    if (refusal !== undefined) done(refusal);
    else this.#post({ kind: 'command', command }, { isChange: CHANGES.includes(kind), done });
  }

  /** Nothing more is said; what waits is refused. */
  close(): void {
    cancel(this.#ticker);
    this.owner(undefined);
  }

  #refusalOf(kind: Command['kind']): Refusal | undefined {
    if (IS_LOCAL[kind]) {
      const detail = `this node does not own the log, and ${kind} is for the very node that is asked: ask ${this.#ownerText}`;
      return { ok: false, code: 'conflict', detail };
    }
    if (this.#asked.size < ORDERS_MAX && this.#waitingBytes < WAITING_BYTES_MAX) return undefined;
    const detail = `${this.#asked.size} orders wait for ${this.#ownerText}: try again`;
    return { ok: false, code: 'too-many', detail };
  }

  get #ownerAddress(): string {
    const { host = '', port = 0 } = this.#owner ?? {};
    return authority(host, port);
  }

  get #ownerText(): string {
    const at = `the owner at ${this.#ownerAddress}`;
    return this.#dashboard === null ? at : `${at}, whose dashboard is at ${this.#dashboard}`;
  }

  #sayStatus(): void {
    if (this.#owner === undefined || this.#isStatusAsked) return;
    this.#isStatusAsked = true;
    this.#post({ kind: 'status', status: this.#options.status() }, undefined);
  }

  #post(order: Order, command: Asked['command']): void {
    const number = (this.#number % 0xffff_ffff) + 1;
    const frame = frameOf(number, JSON.stringify(order));
    if (frame.length > ORDER_BYTES_MAX) {
      const detail = 'this is too long for an order to the owner: ask the owner itself';
      command?.done({ ok: false, code: 'bad-request', detail });
      return;
    }
    this.#number = number;
    const timer = deadline(this.#options.answerMs ?? ANSWER_MS, () => this.#late(asked));
    const asked = { number, frame, timer, command, isSent: false };
    this.#asked.set(number, asked);
    this.#waitingBytes += frame.length;
    this.#go();
  }

  // Connects, or sends what waits.
  #go(): void {
    const { retryMs = RETRY_MS } = this.#options;
    if (this.#asked.size === 0 || this.#owner === undefined || this.#retry !== undefined) return;
    if (this.#socket === undefined) {
      try {
        this.#socket = connectTo(this.#owner, this.#options, { side: 'orders' }, this.#joining);
      } catch (error) {
        this.#failed((error as Error).message, retryMs);
      }
    } else if (this.#isJoined) {
      for (const asked of this.#asked.values()) {
        if (asked.isSent) continue;
        asked.isSent = true;
        this.#socket.write(asked.frame);
      }
    }
  }

  readonly #joining = {
    joined: (socket: net.Socket) => {
      if (socket !== this.#socket) return;
      this.#isJoined = true;
      this.#frames = new FrameReader(ANSWER_BYTES_MAX);
      socket.on('end', () => socket.destroy());
      this.#go();
    },
    read: (socket: net.Socket, bytes: Uint8Array) => {
      if (socket !== this.#socket) return;
      this.#frames.push(Buffer.from(bytes));
      this.#read(socket);
    },
    closed: (socket: net.Socket, why: string) => {
      if (socket !== this.#socket) return;
      const { isJoined } = this.#lost(`${this.#ownerText} went away before it answered`);
      if (isJoined) this.#go();
      else this.#failed(why, this.#options.retryMs ?? RETRY_MS);
    },
  };

  #failed(why: string, retryMs: number): void {
    this.#why = why;
    const text = `${this.#ownerText} takes no orders: ${why}`;
    this.#options.notice('warn', 'cluster.orders', text);
    this.#retry = after(retryMs, () => {
      this.#retry = undefined;
      this.#go();
    });
  }

  #read(socket: net.Socket): void {
    while (socket === this.#socket) {
      const frame = this.#frames.next();
      if (frame === undefined) return;
      const json = frame === 'too-long' ? undefined : readJson(frame.json);
      const answer = json && readOrderAnswer(json);
      if (frame === 'too-long' || answer === undefined) {
        const text = `${this.#ownerText} sent what is no answer: its connection is closed`;
        this.#options.notice('warn', 'cluster.orders', text);
        socket.destroy();
        return;
      }
      const asked = this.#asked.get(frame.number);
      if (asked?.isSent) this.#answered(asked, answer); // or its time was up
    }
  }

  #answered(asked: Asked, answer: OrderAnswer): void {
    this.#forget(asked);
    if (asked.command === undefined) {
      if ('nodes' in answer) this.#hear(answer.nodes);
    } else if ('outcome' in answer) asked.command.done(answer.outcome);
    else unsent(asked, `${this.#ownerText} does not own the log now`);
  }

  #hear(nodes: SeenNode[]): void {
    const its = nodes.find(({ address }) => address === this.#ownerAddress);
    this.#dashboard = its?.dashboard ?? null;
    this.#options.heard(nodes);
  }

  // Whether it was still asked: whoever is told of one may bring about the end of others.
  #forget(asked: Asked): boolean {
    if (!this.#asked.delete(asked.number)) return false;
    cancel(asked.timer);
    this.#waitingBytes -= asked.frame.length;
    if (asked.command === undefined) this.#isStatusAsked = false;
    return true;
  }

  #late(asked: Asked): void {
    const seconds = (this.#options.answerMs ?? ANSWER_MS) / 1000;
    this.#forget(asked);
    if (asked.isSent) refuse(asked, `${this.#ownerText} has not answered for ${seconds} s`);
    else
      unsent(asked, `${this.#ownerText} cannot be reached: ${this.#why || 'it does not answer'}`);
    // A connection on which nothing comes may be dead without anybody being told.
    if (asked.command === undefined || !asked.isSent)
      this.#lost(`${this.#ownerText} does not answer any more`).socket?.destroy();
    this.#go();
  }

  // The connection is gone, or given up: what went over it is in doubt.
  #lost(why: string): { socket: net.Socket | undefined; isJoined: boolean } {
    const lost = { socket: this.#socket, isJoined: this.#isJoined };
    this.#socket = undefined;
    this.#isJoined = false;
    for (const asked of [...this.#asked.values()])
      if (asked.isSent && this.#forget(asked)) refuse(asked, why);
    return lost;
  }
}

const NO_OWNER: Refusal = {
  ok: false,
  code: 'stopping',
  detail: 'no node owns the log now: ask again in a moment',
};

function unsent({ command }: Asked, why: string): void {
  command?.done({ ok: false, code: 'stopping', detail: `${why}: nothing was done, ask again` });
}

// It was sent, and may have been heard.
function refuse({ command }: Asked, why: string): void {
  if (command?.isChange === false)
    command.done({ ok: false, code: 'stopping', detail: `${why}: ask again` });
  else {
    const detail = `${why}: whether it was carried out is not known, look before you ask again`;
    command?.done({ ok: false, code: 'failed', detail });
  }
}
