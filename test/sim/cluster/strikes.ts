// What befalls nodes and their stream, one thing at a time, and how long it lasts.

import type { Clock } from './clock.ts';
import { CALM, type SimStream } from './stream.ts';

/** What can be done to a node of any make. */
export interface Victim {
  readonly isUp: boolean;
  readonly isServing: boolean;
  readonly isHung: boolean;
  readonly stoppedWith: number | undefined;
  start(): void;
  crash(): void;
  pause(): void;
  goOn(): void;
  cut(isCut: boolean): void;
  slow(isSlow: boolean): void;
  hang(): void;
  resign(): void;
}

export type Strike<Node> = [name: string, strike: (victim: Node) => void];

export class Strikes<Node extends Victim> {
  readonly #clock: Clock;
  readonly #stream: SimStream;
  readonly #nodes: readonly Node[];
  readonly #goesOn: () => boolean;
  readonly #all: Strike<Node>[];

  /** `goesOn`: whether anything more is to befall them; `others`: what can befall these nodes. */
  constructor(
    clock: Clock,
    stream: SimStream,
    nodes: readonly Node[],
    goesOn: () => boolean,
    others: Strike<Node>[] = [],
  ) {
    this.#clock = clock;
    this.#stream = stream;
    this.#nodes = nodes;
    this.#goesOn = goesOn;
    this.#all = [
      ['partition', (victim) => this.forA(300, 6000, (on) => victim.cut(on))],
      ['pause', (victim) => this.#pause(victim)],
      ['leaderless', () => this.forA(300, 6000, (on) => stream.lead(!on))],
      ['server left behind', () => this.forA(4000, 20_000, (on) => stream.leaveBehind(on))],
      ['full stream', () => this.forA(200, 3000, (on) => stream.fill(on))],
      ['crash', (victim) => this.crash(victim, 100, 5000)],
      ['slow disk', (victim) => this.forA(500, 6000, (on) => victim.slow(on))],
      ['hung disk', (victim) => this.#hang(victim)],
      ['resign', () => this.#resign()],
      ['weather', () => this.#weather()],
      ['weather', () => this.#weather()],
      ...others,
    ];
  }

  #owner(): Node | undefined {
    return this.#nodes.find((node) => node.isServing);
  }

  any(): void {
    const clock = this.#clock;
    const any = () => this.#nodes[clock.random.below(this.#nodes.length)]!;
    const victim = clock.chance(0.5) ? (this.#owner() ?? any()) : any();
    const [name, strike] = this.#all[clock.random.below(this.#all.length)]!;
    clock.count(name);
    strike(victim);
  }

  forA(least: number, most: number, what: (on: boolean) => void): void {
    what(true);
    this.#clock.after(this.#clock.between(least, most), () => what(false));
  }

  #weather(): void {
    const clock = this.#clock;
    const some = (most: number) => (clock.chance(0.5) ? clock.between(0, most) : 0);
    this.forA(500, 5000, (on) => {
      this.#stream.weather = on
        ? {
            lostReply: some(0.3),
            lostRequest: some(0.2),
            late: some(0.2),
            stale: some(0.5),
            lostFollowing: some(0.05),
          }
        : CALM;
    });
  }

  #pause(node: Node): void {
    this.forA(200, 5000, (on) => (on ? node.pause() : node.goOn()));
  }

  crash(node: Node, least: number, most: number): void {
    node.crash();
    this.restart(node, least, most);
  }

  restart(node: Node, least: number, most: number): void {
    this.#clock.after(this.#clock.between(least, most), () => {
      if (!node.isUp && node.stoppedWith === undefined) node.start();
    });
  }

  #hang(node: Node): void {
    node.hang();
    this.#clock.after(this.#clock.between(2000, 8000), () => {
      if (node.isHung && this.#goesOn()) this.crash(node, 100, 2000);
    });
  }

  #resign(): void {
    const node = this.#owner();
    node?.resign();
    if (node !== undefined) this.restart(node, 2000, 4000);
  }
}
