// Who is connected: lets peers in, by the dialect that they speak; counts how they end, and tells
// the operator who was turned away or went too far.

import type { BreachKind } from '../../contract/close-reasons.ts';
import * as notices from '../delivery/notices.ts';
import type { Limits } from '../limits.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Link } from '../ports/link.ts';
import type { Notices } from '../ports/notices.ts';
import type { Deadlines } from '../timing/deadlines.ts';
import type { Overdue } from '../timing/overdue.ts';
import { Admission } from './admission.ts';
import type { Consumer } from './consumer.ts';
import { checkDialects, type Dialect, Greeting } from './greeting.ts';
import type { Producer } from './producer.ts';
import type { Session } from './session.ts';

/** The broker's parts that it needs. */
export interface ConnectionsParts {
  readonly limits: Limits;
  readonly counters: Counters;
  readonly notices: Notices;
  /** Whose time is up. */
  readonly overdue: Overdue;
  /** Nobody is let in any more. */
  readonly closing: boolean;
  /** No consumer is let in for now. */
  readonly permission: { readonly isSuspended: boolean };
}

export interface ConnectionsOptions {
  producer: (link: Link) => Producer;
  consumer: (link: Link) => Consumer;
  /** What ticks look at. */
  ticks: () => Watched;
  /** What is spoken on every listener beside its own dialect; default: nothing. */
  dialects?: readonly Dialect[] | undefined;
}

/** Whose deadlines are watched. */
export interface Watched {
  readonly producers: Set<Producer>;
  readonly deadlines: Deadlines<Consumer>;
  /** Something comes in: gives the time in ms, as of the last input or tick. */
  stir(): number;
  /** The same to the ms. */
  exact(): number;
}

/** A listener's side, in the words of metrics and log lines. */
export type Side = 'intake' | 'exhaust';

export class Connections {
  readonly producers = new Set<Producer>();
  readonly consumers = new Set<Consumer>();
  readonly #parts: ConnectionsParts;
  readonly #options: ConnectionsOptions;
  readonly #dialects: readonly Dialect[];
  readonly #admission: Admission;

  constructor(parts: ConnectionsParts, options: ConnectionsOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#dialects = options.dialects ?? [];
    checkDialects(this.#dialects);
    this.#admission = new Admission(parts.limits);
  }

  /** A peer is connected to a listener for producers; undefined: it was turned away. */
  acceptProducer(link: Link): Session | undefined {
    const producer = this.openProducer(link);
    if (producer === undefined || this.#dialects.length === 0) return producer;
    const own = {
      begun: (bytes: number) => producer.begun(bytes),
      dismiss: () => this.#forgetProducer(producer),
      left: () => this.#admission.leave(link.address),
    };
    return new Greeting(link, producer, own, this.#dialects);
  }

  /** A peer is connected to a listener for consumers; undefined: it was turned away. */
  acceptConsumer(link: Link): Session | undefined {
    const consumer = this.openConsumer(link);
    if (consumer === undefined || this.#dialects.length === 0) return consumer;
    const own = {
      begun: () => {}, // a header has its time from when the connection was opened
      dismiss: () => this.#forgetConsumer(consumer),
      left: () => this.#admission.leave(link.address),
    };
    return new Greeting(link, consumer, own, this.#dialects);
  }

  /** The same without a look at its first bytes: it speaks the listener's own dialect. */
  openProducer(link: Link): Producer | undefined {
    if (!this.#admit(link)) return undefined;
    const producer = this.#options.producer(link);
    this.producers.add(producer);
    return producer;
  }

  /** The same without a look at its first bytes: it speaks the listener's own dialect. */
  openConsumer(link: Link): Consumer | undefined {
    if (!this.#admit(link, this.#parts.permission.isSuspended)) return undefined;
    const consumer = this.#options.consumer(link);
    this.consumers.add(consumer);
    return consumer;
  }

  #admit(link: Link, isSuspended = false): boolean {
    const { closing, counters, limits, notices: operator } = this.#parts;
    const why = isSuspended ? 'suspended' : undefined;
    const refusal = closing ? 'closing' : (why ?? this.#admission.enter(link.address));
    if (refusal === undefined) return true;
    counters.refusedConnections++;
    if (refusal !== 'closing') {
      const text = notices.refused(link.peer, refusal, limits);
      operator.notice('warn', `connections.${refusal}`, text);
    }
    link.destroy();
    return false;
  }

  /** The peer went too far: one line of kind `why.side`, counted, connection closed at once. */
  breach(link: Link, side: Side, why: BreachKind, text: string): void {
    const { counters, notices: operator } = this.#parts;
    counters.protocolErrors++;
    const { peer } = link;
    operator.notice('warn', `${why}.${side}`, `${side} ${peer} closed: ${text}`, { peer });
    link.destroy();
  }

  /** The connection of a producer is gone. */
  producerGone(producer: Producer): void {
    this.#gone(producer, 'intake');
    this.#forgetProducer(producer);
  }

  /** The connection of a consumer is gone. */
  consumerGone(consumer: Consumer): void {
    this.#gone(consumer, 'exhaust');
    this.#forgetConsumer(consumer);
  }

  #gone({ link, closedFor }: Producer | Consumer, side: Side): void {
    this.#admission.leave(link.address);
    this.#parts.counters.closedConnections[side][closedFor]++;
    this.#options.ticks().stir();
  }

  #forgetProducer(producer: Producer): void {
    this.producers.delete(producer);
    this.#options.ticks().producers.delete(producer);
    this.#parts.overdue.forget(producer);
  }

  #forgetConsumer(consumer: Consumer): void {
    this.consumers.delete(consumer);
    this.#options.ticks().deadlines.delete(consumer);
    this.#parts.overdue.forget(consumer);
  }
}
