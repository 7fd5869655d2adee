// Who is connected: lets peers in, counts how they end, and tells the operator who was turned away
// or went too far.

import type { BreachKind } from '../../contract/close-reasons.ts';
import * as notices from '../delivery/notices.ts';
import type { Limits } from '../limits.ts';
import type { Counters } from '../metrics/counters.ts';
import type { Link } from '../ports/link.ts';
import type { Notices } from '../ports/notices.ts';
import type { Overdue } from '../timing/overdue.ts';
import { Admission } from './admission.ts';
import type { Consumer } from './consumer.ts';
import type { Producer } from './producer.ts';
import type { Session } from './session.ts';

/** The broker's parts that it needs, and how sessions are made. */
export interface ConnectionsParts {
  readonly limits: Limits;
  readonly counters: Counters;
  readonly notices: Notices;
  /** Whose time is up. */
  readonly overdue: Overdue;
  /** Nobody is let in any more. */
  readonly closing: boolean;
}

/** A port's side, in the words of metrics and log lines. */
export type Side = 'intake' | 'exhaust';

export class Connections {
  readonly producers = new Set<Producer>();
  readonly consumers = new Set<Consumer>();
  readonly #parts: ConnectionsParts;
  readonly #admission: Admission;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
    this.#admission = new Admission(parts.limits);
  }

  /** Whether a peer may come in; if not, its link is closed. */
  admit(link: Link): boolean {
    const { closing, counters, limits, notices: operator } = this.#parts;
    const refusal = closing ? 'closing' : this.#admission.enter(link.address);
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

  /** A producer is gone. */
  producerLeft(producer: Producer): void {
    this.producers.delete(producer);
    this.#left(producer, 'intake');
  }

  /** A consumer is gone. */
  consumerLeft(consumer: Consumer): void {
    this.consumers.delete(consumer);
    this.#left(consumer, 'exhaust');
  }

  #left(session: Session & { readonly link: Link }, side: Side): void {
    this.#admission.leave(session.link.address);
    this.#parts.overdue.forget(session);
    this.#parts.counters.closedConnections[side][session.closedFor]++;
  }
}
