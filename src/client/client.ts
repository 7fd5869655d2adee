// A broker's address said once: makes producers and consumers with shared options and closes them
// together. Optional; it holds no connection of its own.

import { type Consumer, createConsumer } from './consumer.ts';
import type { ConsumerOptions } from './consumer-options.ts';
import { type ConnectionOptions, EXHAUST_PORT, INTAKE_PORT } from './options.ts';
import { createProducer, type Producer, type ProducerOptions } from './producer.ts';

export interface ClientOptions extends Omit<ConnectionOptions, 'url' | 'port'> {
  /** Default 1888. */
  intakePort?: number;
  /** Default 2888. */
  exhaustPort?: number;
}

/** Options of one producer or consumer; where the broker is comes from the client. */
export type Local<Options> = Omit<Options, 'url' | 'host' | 'hosts' | 'port'>;

/** Where one broker is, for any number of producers and consumers. */
export class Client implements AsyncDisposable {
  readonly #shared: Omit<ClientOptions, 'intakePort' | 'exhaustPort'>;
  readonly #intakePort: number;
  readonly #exhaustPort: number;
  readonly #open = new Set<Producer | Consumer>();

  /** Connects nowhere, and checks nothing: `producer` and `consumer` do. */
  constructor(options: ClientOptions = {}) {
    const { intakePort = INTAKE_PORT, exhaustPort = EXHAUST_PORT, ...shared } = options;
    this.#shared = shared;
    this.#intakePort = intakePort;
    this.#exhaustPort = exhaustPort;
  }

  /**
   * Makes a producer with the client's options, and these, which win. It connects in the background:
   * throws USAGE for wrong options, at once; that the broker cannot be reached is told by `ready`,
   * `closed` and each send.
   */
  producer(options: Local<ProducerOptions> = {}): Producer {
    return this.#track(createProducer({ ...this.#shared, ...options, port: this.#intakePort }));
  }

  /**
   * Makes a consumer of one bucket, likewise: throws USAGE for wrong options, at once; that the
   * broker cannot be reached is told by `ready`, `closed` and whoever reads it.
   */
  consumer(options: Local<ConsumerOptions>): Consumer {
    return this.#track(createConsumer({ ...this.#shared, ...options, port: this.#exhaustPort }));
  }

  /** Closes every consumer, then every producer, made here and still open. Never rejects. */
  async close(): Promise<void> {
    const open = [...this.#open];
    const isConsumer = (one: Producer | Consumer): one is Consumer => 'run' in one;
    await Promise.all(open.filter(isConsumer).map((one) => one.close()));
    await Promise.all(open.map((one) => one.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #track<T extends Producer | Consumer>(one: T): T {
    this.#open.add(one);
    void one.closed.then(() => this.#open.delete(one));
    return one;
  }
}
