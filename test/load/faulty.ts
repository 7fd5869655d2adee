// A broker in this process that stores nothing and can be told to misbehave: it hands each
// published batch through a fault to whoever consumes the bucket. Only as much of the protocol as
// a run needs.

import net, { type AddressInfo } from 'node:net';
import {
  BatchDecoder,
  decodeConsumerHeader,
  encodeAcks,
  encodeDelivery,
  encodeHeartbeat,
  type WireMessage,
} from '../../src/codec/wire.ts';
import { DEFAULT_PLAN, type LoadPlan } from '../../src/load/plan.ts';

export interface Faults {
  /** What consumers get of the messages of a batch; default: what was published. */
  deliver?: (messages: WireMessage[], batch: number) => WireMessage[];
  /** Whether a message counts as stored; what is not stored is not delivered by itself. */
  stored?: (index: number) => boolean;
  /** Called with the socket of each producer's batch before it is answered. */
  onBatch?: (socket: net.Socket, batch: number) => void;
  /** Given each batch and what answers and delivers it; default: at once. */
  hold?: (batch: number, answer: () => void) => void;
  /** A heartbeat before everything else. */
  heartbeat?: boolean;
}

interface Consumer {
  socket: net.Socket;
  batchSize: number;
  unacked: number;
}

interface Bucket {
  ready: Uint8Array[];
  consumers: Consumer[];
}

/** A running faulty broker; closes with `await using`. */
export class FaultyBroker implements AsyncDisposable {
  readonly #faults: Faults;
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #buckets = new Map<bigint, Bucket>();
  /** Messages that consumers have acked, and acks that nobody asked for. */
  acked = 0;
  published = 0;
  #batches = 0;
  #ports: number[] = [];

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  static async start(faults: Faults = {}): Promise<FaultyBroker> {
    const broker = new FaultyBroker(faults);
    broker.#ports = [
      await broker.#listen((socket) => broker.#produce(socket)),
      await broker.#listen((socket) => broker.#consume(socket)),
    ];
    return broker;
  }

  /** A short plan for this broker. */
  plan(change: Partial<LoadPlan> = {}): LoadPlan {
    const [intakePort, exhaustPort] = this.#ports;
    const short = { durationMs: 100, warmupMs: 0, messageBytes: 40, batchMessages: 10 };
    return { ...DEFAULT_PLAN, intakePort, exhaustPort, ...short, ...change };
  }

  #listen(onSocket: (socket: net.Socket) => void): Promise<number> {
    const server = net.createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
      onSocket(socket);
    });
    this.#servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  }

  #produce(socket: net.Socket): void {
    const decoder = new BatchDecoder('u64');
    socket.on('data', (chunk) => {
      for (const messages of decoder.push(chunk)) {
        if (messages.length === 0) return void socket.end();
        this.#batch(socket, messages);
      }
    });
  }

  #batch(socket: net.Socket, messages: WireMessage[]): void {
    const batch = this.#batches++;
    this.#faults.onBatch?.(socket, batch);
    const answer = (): void => this.#answer(socket, messages, batch);
    if (this.#faults.hold === undefined) answer();
    else this.#faults.hold(batch, answer);
  }

  #answer(socket: net.Socket, messages: WireMessage[], batch: number): void {
    const results = messages.map((_, index) => this.#faults.stored?.(index) ?? true);
    const kept = messages.filter((_, index) => results[index]);
    this.published += kept.length;
    if (!socket.destroyed) socket.write(encodeAcks(results));
    for (const { bucket, body } of this.#faults.deliver?.(kept, batch) ?? kept)
      this.#bucket(bucket).ready.push(body);
    for (const bucket of this.#buckets.values()) dispatch(bucket);
  }

  #consume(socket: net.Socket): void {
    let consumer: Consumer | undefined;
    let bucket: Bucket | undefined;
    let heartbeats = 0;
    socket.on('data', (chunk) => {
      if (consumer === undefined || bucket === undefined) {
        const header = decodeConsumerHeader(chunk);
        if (header === undefined) return void socket.destroy();
        consumer = { socket, batchSize: header.batchSize, unacked: 0 };
        bucket = this.#bucket(header.bucket);
        bucket.consumers.push(consumer);
        if (this.#faults.heartbeat) {
          socket.write(encodeHeartbeat('u64'));
          consumer.unacked = 1;
          heartbeats = 1;
        }
      } else {
        consumer.unacked -= chunk.length;
        this.acked += chunk.length - heartbeats;
        heartbeats = 0;
      }
      dispatch(bucket);
    });
  }

  #bucket(id: bigint): Bucket {
    const bucket = this.#buckets.get(id) ?? { ready: [], consumers: [] };
    this.#buckets.set(id, bucket);
    return bucket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      this.#servers.map((server) => new Promise<void>((done) => server.close(() => done()))),
    );
  }
}

function dispatch({ ready, consumers }: Bucket): void {
  for (const consumer of consumers) {
    if (consumer.unacked > 0 || ready.length === 0 || consumer.socket.destroyed) continue;
    const bodies = ready.splice(0, consumer.batchSize);
    consumer.unacked = bodies.length;
    consumer.socket.write(encodeDelivery(bodies, 'u64'));
  }
}
