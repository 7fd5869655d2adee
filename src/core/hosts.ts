// What the sessions of producers and of consumers are given of the broker: its parts, and the calls
// that tell it what to do in which turn.

import type { Connections, Watched } from './connections/connections.ts';
import type { Consumer } from './connections/consumer.ts';
import type { ConsumerHost } from './connections/consumer-host.ts';
import type { Producer, ProducerHost } from './connections/producer.ts';
import { leaseOver } from './delivery/notices.ts';
import type { Eviction } from './memory/eviction.ts';
import { BufferPool } from './memory/partial-input.ts';
import type { Reservations } from './memory/reservations.ts';
import type { Notices } from './ports/notices.ts';

/** The broker's parts that sessions of both sides are given. */
export interface HostParts {
  readonly limits: ConsumerHost<Consumer>['limits'];
  readonly budget: ConsumerHost<Consumer>['budget'];
  readonly overdue: ConsumerHost<Consumer>['time']['overdue'];
  readonly counters: ConsumerHost<Consumer>['metrics']['counters'];
  readonly connections: Connections;
}

export interface ProducerParts extends HostParts {
  readonly codec: ProducerHost['codec'];
  readonly commit: ProducerHost['commit'];
  readonly fairShare: ProducerHost['fairShare'];
  readonly rules: ProducerHost['rules'];
  readonly reservations: Reservations;
  /** Asks for a flush after the inputs that wait now. */
  flushSoon(): void;
}

/** `replyLater`: the producer has replies to send when the current input is done. */
export function producerHost(
  broker: ProducerParts,
  eviction: Eviction,
  ticks: Watched,
  replyLater: (producer: Producer) => void,
): ProducerHost {
  const { codec, limits, commit, fairShare, rules, counters, budget, reservations } = broker;
  const blocks = new BufferPool(limits.bufferBytesMax);
  const memory = { budget, blocks, reservations, relieve: () => eviction.relieve() };
  const turns: ProducerHost['turns'] = {
    nowMs: () => ticks.stir(),
    lookAt: (producer) => {
      ticks.stir();
      ticks.producers.add(producer);
    },
    flushSoon: () => broker.flushSoon(),
    replyLater,
  };
  const ends: ProducerHost['ends'] = {
    overdue: broker.overdue,
    breach: (link, why, text) => broker.connections.breach(link, 'intake', why, text),
    closed: (producer) => broker.connections.producerGone(producer),
  };
  return { codec, limits, commit, fairShare, rules, counters, memory, turns, ends };
}

export interface ConsumerParts extends HostParts {
  readonly dispatcher: ConsumerHost<Consumer>['subscriptions'];
  readonly buckets: { idOf(slot: number): string };
  readonly settlement: ConsumerHost<Consumer>['settlement'];
  readonly frames: ConsumerHost<Consumer>['frames'];
  readonly latency: ConsumerHost<Consumer>['metrics']['latency'];
  readonly notices: Notices;
}

export function consumerHost(broker: ConsumerParts, ticks: Watched): ConsumerHost<Consumer> {
  const { limits, settlement, frames, budget, overdue, counters, latency } = broker;
  return {
    limits,
    subscriptions: broker.dispatcher,
    settlement,
    frames,
    budget,
    time: {
      now: () => ticks.stir(),
      exact: () => ticks.exact(),
      lookAt: (consumer, dueMs) => ticks.deadlines.set(consumer, dueMs),
      overdue,
    },
    metrics: { counters, latency },
    ends: {
      breach: ({ link }, why, text) => broker.connections.breach(link, 'exhaust', why, text),
      dead: ({ link: { peer } }, text) => {
        const line = `consumer ${peer} ${text}: closed`;
        broker.notices.notice('info', 'consumer.dead', line, { peer });
      },
      leaseOver: ({ link: { peer }, slot }, count, ms) => {
        const line = leaseOver(peer, count, broker.buckets.idOf(slot), ms);
        broker.notices.notice('warn', 'consumer.lease', line, { peer, count });
      },
      closed: (consumer) => broker.connections.consumerGone(consumer),
    },
  };
}
