// The owner's side of orders: takes connections of other nodes, has commands carried out, hears how
// nodes are, and answers, many at a time and in the order in which answers come. What waits for a
// node that does not read is bounded, and so is what one may ask at once.

import type net from 'node:net';
import type { NodeStatus } from '../../contract/cluster.ts';
import type { Command, Outcome } from '../../contract/commands.ts';
import { IS_LOCAL, type OrderAnswer, type SeenNode } from '../../contract/orders.ts';
import { deadline } from '../../time/deadline.ts';
import { cancel, type Timer } from '../../time/timers.ts';
import type { Notice } from './node-listener.ts';
import {
  ANSWER_BYTES_MAX,
  FrameReader,
  frameOf,
  ORDER_BYTES_MAX,
  ORDERS_MAX,
} from './order-frames.ts';
import { readJson, readOrder } from './order-shapes.ts';
import type { OrdersPreamble } from './preamble.ts';

const CONNECTIONS_MAX = 64;
/** Answers that wait for a node to read: beyond it, no more of its orders are looked at. */
const UNREAD_BYTES_MAX = 1024 * 1024;
/** The same of all nodes: beyond it, the one with most of it is closed. */
const ALL_BYTES_MAX = 2 * ANSWER_BYTES_MAX;
/** A node says each second how it is: one that is silent for so long is gone. */
const SILENCE_MS = 30_000;

export interface OrderServerOptions {
  isOwner: () => boolean;
  /** Carries out a command; `done` comes once, in the call or later, or never where it is dropped. */
  carryOut: (command: Command, done: (outcome: Outcome) => void) => void;
  /** A node says how it is; returns all. */
  heard: (status: NodeStatus) => SeenNode[];
  notice: Notice;
  connectionsMax?: number;
  allBytesMax?: number;
  silenceMs?: number;
}

export class OrderServer {
  readonly #options: OrderServerOptions;
  readonly #peers = new Set<Peer>();

  constructor(options: OrderServerOptions) {
    this.#options = options;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#peers.size;
  }

  /** A node that has orders, over this socket, which is paused. */
  adopt(socket: net.Socket, from: OrdersPreamble): void {
    socket.on('error', () => {});
    const name = `node ${from.node} at ${socket.remoteAddress ?? 'an unknown address'}`;
    if (this.#peers.size >= (this.#options.connectionsMax ?? CONNECTIONS_MAX)) {
      this.#options.notice('warn', 'cluster.orders', `${name} is one too many with orders: closed`);
      socket.destroy();
      return;
    }
    const peer = new Peer(socket, name, this.#options, () => this.#bound());
    this.#peers.add(peer);
    socket.on('close', () => this.#peers.delete(peer));
    peer.work();
  }

  #bound(): void {
    let all = 0;
    let most: Peer | undefined;
    for (const peer of this.#peers) {
      all += peer.unreadBytes;
      if (most === undefined || peer.unreadBytes > most.unreadBytes) most = peer;
    }
    if (all > (this.#options.allBytesMax ?? ALL_BYTES_MAX))
      most?.close('does not read its answers');
  }

  /** Closes all at once: of what is under way, nobody is told the outcome. */
  drop(): void {
    for (const peer of this.#peers) peer.close();
  }
}

class Peer {
  readonly #socket: net.Socket;
  readonly #name: string;
  readonly #options: OrderServerOptions;
  readonly #queued: () => void;
  readonly #frames = new FrameReader(ORDER_BYTES_MAX);
  #underWay = 0;
  #isWorking = false;
  #silence: Timer | undefined;

  constructor(socket: net.Socket, name: string, options: OrderServerOptions, queued: () => void) {
    this.#socket = socket;
    this.#name = name;
    this.#options = options;
    this.#queued = queued;
    this.#listen();
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(chunk);
      this.work();
    });
    socket.on('end', () => socket.destroy());
    socket.on('drain', () => this.work());
    socket.on('close', () => cancel(this.#silence));
  }

  get unreadBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength;
  }

  /** What it says is over; `why` is what it did wrong. */
  close(why?: string): void {
    if (this.#socket.destroyed) return;
    if (why !== undefined)
      this.#options.notice('warn', 'cluster.orders', `${this.#name} ${why}: closed`);
    this.#socket.destroy();
  }

  #listen(): void {
    cancel(this.#silence);
    this.#silence = deadline(this.#options.silenceMs ?? SILENCE_MS, () => this.close());
  }

  get #mayTake(): boolean {
    const { destroyed, writableLength } = this.#socket;
    return !destroyed && this.#underWay < ORDERS_MAX && writableLength <= UNREAD_BYTES_MAX;
  }

  /** Takes orders as far as they are there and may be under way; reads on only then. */
  work(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    let isShort = false;
    while (this.#mayTake && !isShort) {
      const frame = this.#frames.next();
      if (frame === 'too-long') this.close('sent an order that is too long');
      else if (frame === undefined) isShort = true;
      else this.#take(frame.number, frame.json);
    }
    this.#isWorking = false;
    if (isShort) this.#socket.resume();
    else this.#socket.pause();
  }

  #take(number: number, bytes: Buffer): void {
    this.#listen();
    const json = readJson(bytes);
    if (json === undefined) {
      this.close('sent what is no order');
      return;
    }
    this.#underWay++;
    let isAnswered = false;
    const answer = (answer: OrderAnswer) => {
      if (isAnswered) return;
      isAnswered = true;
      this.#underWay--;
      this.#answer(number, answer);
    };
    try {
      this.#carryOut(json, answer);
    } catch (error) {
      answer(refusal('failed', `the owner failed: ${(error as Error).message}`));
    }
  }

  #carryOut(json: Record<string, unknown>, answer: (answer: OrderAnswer) => void): void {
    const { isOwner, heard, carryOut } = this.#options;
    if (!isOwner()) {
      answer({ refused: 'not-owner' });
      return;
    }
    const order = readOrder(json);
    if (order === undefined)
      answer(refusal('bad-request', 'the owner does not know this order: are versions the same?'));
    else if (order.kind === 'status') answer({ nodes: heard(order.status) });
    else if (IS_LOCAL[order.command.kind])
      answer(refusal('bad-request', `${order.command.kind} is for the very node that is asked`));
    else carryOut(order.command, (outcome) => answer({ outcome }));
  }

  #answer(number: number, answer: OrderAnswer): void {
    if (this.#socket.destroyed) return;
    let frame = frameOf(number, JSON.stringify(answer));
    if (frame.length > ANSWER_BYTES_MAX) {
      const text = 'the answer is too long for one between nodes: ask for less, or ask the owner';
      frame = frameOf(number, JSON.stringify(refusal('too-many', text)));
    }
    this.#socket.write(frame);
    this.#queued();
    this.work();
  }
}

function refusal(code: 'bad-request' | 'too-many' | 'failed', detail: string): OrderAnswer {
  return { outcome: { ok: false, code, detail } };
}
