// Networks for partitions: three namespaces behind one bridge, each for a node and a server of
// NATS, whose links can be cut in each direction by itself. Needs root, ip and nft; clients run
// outside, where the bridge has an address of its own.

import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { needsNamespaces, run } from '../support/machine.ts';
import type { Place } from './nats.ts';

const hasNft = spawnSync('sh', ['-c', 'command -v nft']).status === 0;

/** Options of a test that cuts networks. */
export const needsNetworks = hasNft ? needsNamespaces : { skip: 'needs nft' };

const ALL = [0, 1, 2];

export class Networks implements Disposable {
  readonly places: Place[];
  readonly #names: string[];
  readonly #bridge: string;
  readonly #links: string[];
  readonly #hosts: string[];

  /** Makes them. */
  constructor() {
    const tag = `${process.pid.toString(36)}${randomInt(36).toString(36)}`;
    // A network of our own, of the addresses that are nobody's.
    const net = `10.${randomInt(64, 250)}.${randomInt(256)}`;
    this.#bridge = `tmq${tag}`;
    this.#links = [...ALL.map((i) => `${this.#bridge}o${i}`), this.#bridge];
    this.#names = ALL.map((i) => `tmq-${tag}-${i}`);
    this.#hosts = ALL.map((i) => `${net}.${i + 1}`);
    this.places = ALL.map((i) => ({
      host: this.#hosts[i]!,
      wrapper: ['ip', 'netns', 'exec', this.#names[i]!],
    }));
    try {
      this.#make(net);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** From now on nothing comes from `from` to `to`; the other direction stays. */
  cut(from: number, to: number): void {
    const rule = ['ip', 'saddr', this.#hosts[from]!, 'counter', 'name', 'kept', 'drop'];
    this.#nft(to, 'add', 'rule', 'inet', 'cuts', 'in', ...rule);
  }

  /** The same of what a port of `from` sends, and of nothing else. */
  mute(from: number, to: number, port: number): void {
    const what = ['ip', 'saddr', this.#hosts[from]!, 'tcp', 'sport', String(port)];
    this.#nft(to, 'add', 'rule', 'inet', 'cuts', 'in', ...what, 'counter', 'name', 'kept', 'drop');
  }

  /** Nothing between one and the others, in both directions; clients still reach all. */
  isolate(one: number): void {
    for (const other of ALL.filter((each) => each !== one)) {
      this.cut(one, other);
      this.cut(other, one);
    }
  }

  /** Everything reaches everything again. */
  heal(): void {
    for (const i of ALL) this.#nft(i, 'flush', 'chain', 'inet', 'cuts', 'in');
  }

  /** How many packets the cuts have kept back; it is lost with `heal`. */
  dropped(): number {
    const told = ALL.map((i) =>
      run('ip', 'netns', 'exec', this.#names[i]!, 'nft', 'list', 'counter', 'inet', 'cuts', 'kept'),
    );
    return told.reduce((sum, text) => sum + Number(/packets (\d+)/.exec(text)?.[1] ?? 0), 0);
  }

  [Symbol.dispose](): void {
    for (const name of this.#names) spawnSync('ip', ['netns', 'del', name]);
    for (const link of this.#links) spawnSync('ip', ['link', 'del', link]);
  }

  #make(net: string): void {
    run('ip', 'link', 'add', this.#bridge, 'type', 'bridge');
    run('ip', 'addr', 'add', `${net}.254/24`, 'dev', this.#bridge);
    run('ip', 'link', 'set', this.#bridge, 'up');
    ALL.forEach((i) => {
      const name = this.#names[i]!;
      const [outside, inside] = [this.#links[i]!, `${this.#bridge}i${i}`];
      run('ip', 'netns', 'add', name);
      run('ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
      run('ip', 'link', 'set', outside, 'master', this.#bridge, 'up');
      run('ip', 'link', 'set', inside, 'netns', name);
      const within = ['netns', 'exec', name, 'ip'];
      run('ip', ...within, 'addr', 'add', `${this.#hosts[i]}/24`, 'dev', inside);
      run('ip', ...within, 'link', 'set', inside, 'up');
      run('ip', ...within, 'link', 'set', 'lo', 'up');
      this.#nft(i, 'add', 'table', 'inet', 'cuts');
      const hook = '{ type filter hook input priority 0 ; }';
      this.#nft(i, 'add', 'chain', 'inet', 'cuts', 'in', hook);
      this.#nft(i, 'add', 'counter', 'inet', 'cuts', 'kept');
    });
  }

  #nft(i: number, ...args: string[]): void {
    run('ip', 'netns', 'exec', this.#names[i]!, 'nft', ...args);
  }
}
