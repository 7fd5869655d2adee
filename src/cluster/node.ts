// A node of a cluster as the process sees it: what a broker is without one, but that another node
// may own the log.

import type { AddressInfo } from 'node:net';
import type { BrokerLife } from '../broker-life.ts';
import type { ClusterSnapshot, NodeStatus, StepDown } from '../contract/cluster.ts';
import type { Command, Outcome } from '../contract/commands.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { DataFolder } from '../data-folder.ts';
import { clusterHealth, failureText, type Health, healthOf } from '../health.ts';
import type { JetStreamLink } from '../io/cluster/jetstream.ts';
import type { RateLimitedLog } from '../io/logger.ts';
import type { ServerOptions, Stopped } from '../server.ts';
import { stopInOrder } from '../stopping.ts';
import { deadline } from '../time/deadline.ts';
import { cancel, every, type Timer } from '../time/timers.ts';
import type { Member } from './member.ts';
import type { PlaceFile, Remembered } from './place-file.ts';
import type { NodePorts } from './ports.ts';
import { View } from './view.ts';

const TICK_MS = 50;
const LOOK_MS = 1000;
const SAVE_MS = 2000;
const PEERS_MS = 5000;
const LEADER_MS = 60_000;
/** The stream has so long to take the last word of an owner, in ms. */
const RESIGN_MS = 1000;
/** Who has stepped down lets others go first for so many times the silence that they wait for. */
const REST_TTLS = 3;

export interface NodeParts {
  options: ServerOptions;
  folder: DataFolder;
  link: JetStreamLink;
  member: Member;
  ports: NodePorts;
  placeFile: PlaceFile;
  /** All that is remembered but the place. */
  remembered: Omit<Remembered, 'place' | 'segments'>;
  notices: RateLimitedLog;
}

export class ClusterNode {
  /** Settles when the node has stopped, by `close` or by itself. */
  readonly stopped: Promise<Stopped>;
  readonly #parts: NodeParts;
  readonly #timers: Timer[] = [];
  readonly #view: View;
  readonly #known: Set<number>;
  #stop!: (how: Stopped) => void;
  #closing: Promise<void> | undefined;
  #failure: Error | undefined;
  #saved = '';
  #stepsDown: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.#known = new Set(parts.remembered.nodes);
    this.#view = new View({ ...parts, dataDir: () => parts.folder.path });
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  /** Takes part. */
  begin(): void {
    const { member, ports } = this.#parts;
    member.join();
    const again = (ms: number, call: () => void) => this.#timers.push(every(ms, call));
    again(TICK_MS, () => member.tick(performance.now()));
    again(LOOK_MS, () => this.#view.look());
    again(SAVE_MS, () => this.#save(() => {}));
    // Before anything can stand in the log: who has it must know that the stream was there.
    this.#save(() => {});
    again(PEERS_MS, () => void ports.splicer.look());
    again(LEADER_MS, () => void this.#avoidLeader());
    this.#view.look();
  }

  get addresses(): { intake: AddressInfo[]; exhaust: AddressInfo[] } {
    return this.#parts.ports.addresses;
  }

  /** Where the data folder is now. */
  get dataDir(): string {
    return this.#parts.folder.path;
  }

  /** Tells this broker from every other one. */
  get instance(): string {
    return this.#parts.folder.instance;
  }

  /** Grows when something happens that a snapshot tells of. */
  activity(): number {
    const { member } = this.#parts;
    return this.#view.changes + member.ownership.sequence + (member.life?.activity ?? 0);
  }

  /** Of the broker; undefined while another node serves. */
  snapshot(): Snapshot | undefined {
    return this.#parts.member.life?.snapshot();
  }

  // One machine that is lost should not cost the owner and, after that, the stream's leader.
  async #avoidLeader(): Promise<void> {
    const { link, member, options } = this.#parts;
    const avoided = options.config.cluster?.avoidServer;
    if (avoided === undefined || member.life === undefined) return;
    try {
      if ((await link.leader()) === avoided) await link.stepDownLeader();
    } catch {} // there is none now, or it is busy: in a minute again
  }

  #save(done: () => void): void {
    const { member, placeFile, ports, remembered, notices } = this.#parts;
    const { place, segments } = member.standing;
    for (const { node } of ports.nodes()) this.#known.add(node);
    const nodes = [...this.#known].sort((a, b) => a - b);
    const what = { ...remembered, nodes, place, segments };
    const text = JSON.stringify(what);
    if (text === this.#saved) {
      done();
      return;
    }
    placeFile.save(what, (failure) => {
      if (failure === undefined) this.#saved = text;
      else
        notices.write(
          'cluster.place',
          {},
          `cannot write cluster.json, which spares a start some reading: ${failure.message}`,
        );
      done();
    });
  }

  /** Carries out an operator's command; `done` comes once, now or later. */
  command(command: Command, done: (outcome: Outcome) => void): void {
    if (this.#parts.member.life !== undefined) this.carryOut(command, done);
    else this.#parts.ports.orders.ask(command, done);
  }

  /** The same where it was passed on to the owner: nobody asks for another one. */
  carryOut(command: Command, done: (outcome: Outcome) => void): void {
    const { life } = this.#parts.member;
    if (life === undefined) done(failed('this node does not own the log any more: ask again'));
    else if (command.kind !== 'cluster-step-down') life.command(command, done);
    else if (command.leader === true) void this.#moveLeader(done);
    else this.#stepDown(life, done);
  }

  /** What this node tells the others of itself. */
  status(): NodeStatus {
    return this.#view.status();
  }

  async #moveLeader(done: (outcome: Outcome) => void): Promise<void> {
    const { link } = this.#parts;
    try {
      const from = (await link.leader()) ?? null;
      const isDone = await link.stepDownLeader();
      done(isDone ? begun({ of: 'leader', from }) : failed('the stream has no leader now'));
    } catch (error) {
      done(failed((error as Error).message));
    }
  }

  #stepDown(life: BrokerLife, done: (outcome: Outcome) => void): void {
    const { member, options } = this.#parts;
    if (this.#closing !== undefined || this.#stepsDown !== undefined) {
      done({ ok: false, code: 'conflict', detail: 'this node is giving up the log already' });
      return;
    }
    // Said before it is over: whoever asked over the network is disconnected by then.
    done(begun({ of: 'owner', from: String(member.identity.node) }));
    options.log.info({ event: 'cluster.steps-down' }, 'this node lets another one own the log');
    const restMs = REST_TTLS * options.config.cluster!.ttlMs;
    this.#stepsDown = this.#endLife(life).then(() => {
      this.#stepsDown = undefined;
      member.stepDown(life, restMs);
    });
  }

  // The broker ends in order, and its log is closed; true if it all is on disk.
  #endLife(life: BrokerLife): Promise<boolean> {
    const { member, ports } = this.#parts;
    member.endBases();
    return stopInOrder({
      ...life.parts,
      listeners: { stop: () => {}, endAll: (withinMs) => ports.listeners.endAll(withinMs) },
      stopped: this.stopped,
      resign: () => this.#resign(),
    });
  }

  #resign(): Promise<void> {
    return new Promise((resolve) => {
      const timer = deadline(RESIGN_MS, resolve);
      this.#parts.member.resign(() => {
        cancel(timer);
        resolve();
      });
    });
  }

  cluster(): ClusterSnapshot {
    return this.#view.snapshot();
  }

  health(): Health {
    const { member, options } = this.#parts;
    const own = healthOf({
      lateMs: member.life?.lateMs ?? 0,
      blocked: member.local.follower.log.blocked(),
      failure: this.#failure,
      memory: options.config.memory,
      closing: this.#closing !== undefined,
    });
    const { live, ready, checks } = clusterHealth(this.cluster());
    return {
      live: own.live && live,
      ready: own.ready && ready,
      checks: { ...own.checks, ...checks },
    };
  }

  /** The process cannot go on. */
  fail(exitCode: number, failure: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    const { ports, options, member } = this.#parts;
    ports.close();
    const isOfLog = member.life?.failure === failure;
    const text = isOfLog ? failureText(failure) : `this node cannot go on: ${failure.message}`;
    options.log.fatal({ event: 'cluster.failed', exitCode, err: failure }, text);
    member.life?.end();
    this.#finish({ exitCode, reason: failure.message });
  }

  #finish(how: Stopped): void {
    for (const timer of this.#timers.splice(0)) cancel(timer);
    this.#parts.notices.close();
    this.#stop(how);
  }

  /** Stops: no new connections, what is in flight finishes, everything is synced. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { member, ports, link, folder } = this.#parts;
    ports.stop();
    await this.#stepsDown;
    const { life } = member;
    const isWhole = life === undefined || (await this.#endLife(life));
    ports.close();
    await member.end();
    await new Promise<void>((resolve) => this.#save(resolve));
    life?.end();
    await link.close();
    if (isWhole && this.#failure === undefined) folder.release();
    this.#finish({ exitCode: this.#failure === undefined ? 0 : 74, reason: 'stopped' });
  }
}

function begun(result: StepDown): Outcome {
  return { ok: true, result };
}

function failed(detail: string): Outcome {
  return { ok: false, code: 'failed', detail };
}
