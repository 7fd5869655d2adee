// One publishing connection: keeps its batches in flight, counts ack bytes, times batches. Decides
// nothing about when or how much: the pacer does.

import type net from 'node:net';
import { ACK_STORED } from '../../assembly/layout.ts';
import { encodeGoodbye } from '../codec/wire.ts';
import type { BatchSource } from './batches.ts';
import { connect, endSocket, LoadError } from './connect.ts';
import type { Ledger } from './ledger.ts';
import { type Meter, recordMs } from './meter.ts';
import type { Pacer } from './pacer.ts';
import { hostOf, type LoadPlan } from './plan.ts';

const READ_BYTES = 64 * 1024;

export interface ProducerContext {
  plan: LoadPlan;
  index: number;
  source: BatchSource;
  pacer: Pacer;
  meter: Meter;
  ledger: Ledger | undefined;
  /** Acks came. */
  onAcks: () => void;
  /** The pacer holds it back. */
  onHeld: (producer: LoadProducer) => void;
  onFailure: (error: LoadError) => void;
}

export class LoadProducer {
  readonly #context: ProducerContext;
  readonly #dueMs: Float64Array; // a ring: the batches in flight, oldest at #head
  readonly #messages: Uint32Array;
  #socket: net.Socket | undefined;
  #head = 0;
  #open = 0; // batches in flight
  #answered = 0; // ack bytes of the oldest batch that have come
  #sequence = 0; // of the next message to be answered
  #leaving = false;

  constructor(context: ProducerContext) {
    this.#context = context;
    this.#dueMs = new Float64Array(context.plan.inFlight);
    this.#messages = new Uint32Array(context.plan.inFlight);
  }

  /** Batches sent and not answered in full. */
  get inFlight(): number {
    return this.#open;
  }

  async connect(): Promise<void> {
    const { plan, index, onFailure } = this.#context;
    this.#socket = await connect({
      host: hostOf(plan, index),
      port: plan.intakePort,
      readBytes: READ_BYTES,
      onBytes: (bytes) => this.#receive(bytes),
      onEnd: (error) => {
        if (!this.#leaving) onFailure(error);
      },
    });
  }

  /** Sends what may go now; true: it could send more if the pacer let it. */
  pump(nowMs: number): boolean {
    const { plan, pacer, source, meter } = this.#context;
    while (this.#open < plan.inFlight && pacer.take(nowMs)) {
      const slot = (this.#head + this.#open) % plan.inFlight;
      this.#dueMs[slot] = pacer.grantedDueMs;
      if (pacer.openLoop && meter.times(pacer.grantedDueMs))
        recordMs(meter.late, nowMs - pacer.grantedDueMs);
      this.#messages[slot] = pacer.messages;
      this.#open += 1;
      this.#socket!.write(source.next(pacer.messages, pacer.grantedDueMs));
    }
    return this.#open < plan.inFlight;
  }

  #receive(bytes: Uint8Array): void {
    const nowMs = performance.now();
    const { meter, ledger, onAcks, onHeld } = this.#context;
    const refused = bytes.indexOf(0) < 0 ? 0 : countRefused(bytes);
    meter.stored += bytes.length - refused;
    meter.refused += refused;
    meter.storedAtMs = nowMs;
    if (ledger !== undefined) this.#enter(bytes, ledger);
    this.#settle(bytes.length, nowMs);
    if (this.pump(nowMs)) onHeld(this);
    onAcks();
  }

  /** Takes `acks` ack bytes off the oldest batches. */
  #settle(acks: number, nowMs: number): void {
    const { plan, meter, onFailure } = this.#context;
    this.#answered += acks;
    while (this.#open > 0 && this.#answered >= this.#messages[this.#head]) {
      this.#answered -= this.#messages[this.#head];
      const dueMs = this.#dueMs[this.#head];
      if (meter.times(dueMs)) recordMs(meter.ack, nowMs - dueMs);
      this.#head = this.#head + 1 === plan.inFlight ? 0 : this.#head + 1;
      this.#open -= 1;
    }
    if (this.#open === 0 && this.#answered > 0)
      onFailure(new LoadError('protocol', `${this.#answered} acks for nothing that was sent`));
  }

  #enter(bytes: Uint8Array, ledger: Ledger): void {
    for (const byte of bytes) {
      if (byte === ACK_STORED) ledger.stored(this.#context.index, this.#sequence);
      this.#sequence += 1;
    }
  }

  /** Says goodbye and closes; settles when the connection is gone. */
  leave(): Promise<void> {
    this.#leaving = true;
    return endSocket(this.#socket, encodeGoodbye());
  }

  destroy(): void {
    this.#leaving = true;
    this.#socket?.destroy();
  }
}

function countRefused(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte !== ACK_STORED) count += 1;
  return count;
}
