// A world of three nodes with whole brokers, their clients, and one stream, from one seed: faults
// for a while, then peace, in which all that is left is consumed, and all nodes come to the same.

import assert from 'node:assert/strict';
import { tellOf } from '../../log/following/harness.ts';
import { ConsumerClient, type Host, ProducerClient } from './broker-clients.ts';
import { DEAD, TARGETS } from './broker-log.ts';
import { BrokerNode } from './broker-node.ts';
import { BrokerTruth } from './broker-truth.ts';
import { Clock } from './clock.ts';
import { OWN_MS } from './node.ts';
import { CALM, SimStream } from './stream.ts';
import { Strikes } from './strikes.ts';
import type { Verdict } from './world.ts';

const NODES = 3;
const PRODUCERS = 3;
const CONSUMERS = 2; // of each bucket

class BrokersWorld {
  readonly clock: Clock;
  readonly stream: SimStream;
  readonly truth: BrokerTruth;
  readonly nodes: BrokerNode[];
  readonly #producers: ProducerClient[];
  readonly #strikes: Strikes<BrokerNode>;
  isImpatient: boolean;
  isTame = false;
  #isAtPeace = false;
  #isSilent = false;
  #mayStop = false;
  #failure: Error | undefined;

  constructor(seed: number) {
    const clock = new Clock(seed);
    this.clock = clock;
    this.truth = new BrokerTruth(clock, OWN_MS);
    this.stream = new SimStream(clock, (message, sentMs) => this.truth.stored(message, sentMs));
    this.isImpatient = clock.chance(0.3);
    this.truth.isPatient = !this.isImpatient;
    if (this.isImpatient) clock.count('impatient');
    this.nodes = Array.from({ length: NODES }, (_, i) => new BrokerNode(this, i + 1));
    this.#producers = Array.from({ length: PRODUCERS }, (_, i) => new ProducerClient(this, i + 1));
    for (const bucket of [...TARGETS, DEAD])
      for (let i = 0; i < CONSUMERS; i++) new ConsumerClient(this, bucket);
    this.#strikes = new Strikes(clock, this.stream, this.nodes, () => !this.#isAtPeace, [
      ['full disk', (node) => this.#strikes.forA(500, 5000, (on) => node.disk.fill(on))],
      ['bad disk', (node) => node.disk.break()],
    ]);
  }

  fail(error: Error): void {
    this.#failure ??= error;
  }

  stopped(node: BrokerNode, code: number, why: string): void {
    const isMeant = this.#mayStop || node.hadBadDisk;
    if (!isMeant || code !== 74) this.fail(new Error(`node ${node.number} stops, ${code}: ${why}`));
    this.clock.count('stopped with 74');
    if (this.#mayStop) return;
    node.stoppedWith = undefined;
    this.#strikes.restart(node, 100, 2000);
  }

  /** Any of those that say that they own, some of which may not know better. */
  owner(): Host | undefined {
    const serving = this.nodes.filter((node) => node.isServing);
    return serving[this.clock.random.below(Math.max(1, serving.length))]?.host();
  }

  async #run(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      await this.clock.runAll(Math.min(left, 500), () => {
        for (const { disk } of this.nodes) disk.look();
      });
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  #every(least: number, most: number, what: () => void): void {
    const { clock } = this;
    const again = () => {
      what();
      clock.after(clock.between(least, most), again);
    };
    clock.after(clock.between(least, most), again);
  }

  async run(): Promise<void> {
    const { clock, nodes } = this;
    for (const node of nodes) clock.after(clock.between(0, 500), () => node.start());
    this.#every(10, 60, () => {
      if (!this.#isSilent) this.#producers[clock.random.below(PRODUCERS)]!.publish();
    });
    this.#every(100, 1500, () => this.stream.remember());
    this.#every(200, 1000, () => this.#compareCopies());
    this.#every(150, 2500, () => {
      if (!this.#isAtPeace) this.#strikes.any();
    });
    await this.#run(clock.between(6000, 18_000));
    await this.#peace();
    if (clock.chance(0.2)) await this.#amnesia();
  }

  #states(): string {
    return this.nodes.map((node) => node.says).join('; ');
  }

  async #peace(): Promise<void> {
    const { clock, stream, nodes, truth } = this;
    this.#isAtPeace = true;
    this.isImpatient = false;
    await this.#run(6000);
    stream.lead(true);
    stream.fill(false);
    stream.weather = CALM;
    for (const node of nodes) {
      node.cut(false);
      node.disk.heal();
      node.goOn();
      if (node.isHung) node.crash();
      if (!node.isUp) node.start();
    }
    this.isTame = true;
    await this.#run(6000);
    const acked = clock.counts.acked ?? 0;
    await this.#run(3000);
    assert.ok((clock.counts.acked ?? 0) > acked, `nothing is acked in peace: ${this.#states()}`);
    this.#isSilent = true;
    for (let i = 0; i < 60 && truth.left > 0; i++) await this.#run(500);
    await this.#run(2000);
    const says = this.#states();
    assert.equal(nodes.filter((node) => node.isServing).length, 1, `one owner: ${says}`);
    truth.judge();
    for (const node of nodes) assert.equal(node.end, truth.end, `all have the same log: ${says}`);
  }

  // Whoever has followed equally far has come to the same, as far as messages are there.
  #compareCopies(): void {
    const copies = this.nodes.flatMap(({ copy }) => (copy === undefined ? [] : [copy]));
    const ends = copies.map(({ end }) => end);
    if (ends.length < 2 || new Set(ends).size > 1) return;
    const [one, ...others] = copies.map(({ state, next }) => {
      const { messages } = tellOf(state, next);
      const there = messages.filter(([sequence]) => this.truth.isThere(sequence!));
      // Who owned the log may know of more attempts, and of times that are over.
      return there.map(([sequence, , , , , dead, placed]) => `${sequence} ${dead} ${placed}`);
    });
    for (const other of others)
      for (const [i, message] of one!.entries())
        if (other[i] !== message)
          assert.fail(`copies differ at ${ends[0]}: ${message}, ${other[i]}; ${this.#states()}`);
    if (one!.length > 0) this.clock.count('copies compared');
  }

  // Numbers that everybody has seen are gone: nobody may go on.
  async #amnesia(): Promise<void> {
    const { clock, stream, nodes, truth } = this;
    this.#isSilent = false;
    await this.#run(1000);
    this.#mayStop = true;
    clock.count('amnesia');
    stream.forget(2 + clock.random.below(5));
    await this.#run(200);
    const { size } = truth.acked;
    for (const node of nodes) if (clock.chance(0.3)) this.#strikes.crash(node, 10, 1000);
    await this.#run(50_000);
    const open = nodes.filter((node) => node.stoppedWith !== 74);
    assert.ok(open.length === 0, `nodes go on: ${this.#states()}`);
    assert.equal(truth.acked.size, size, 'something is acked by a stream that went back');
  }
}

export async function runBrokers(seed: number): Promise<Verdict> {
  const world = new BrokersWorld(seed);
  let failure: Error | undefined;
  try {
    await world.run();
  } catch (error) {
    failure = error as Error;
  }
  return { seed, failure, counts: world.clock.counts };
}
