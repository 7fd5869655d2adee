// A cluster to look at: three servers of NATS and three nodes on this machine, a trickle of
// messages through them, and a key that kills whoever owns the log. `npm run demo`; with `--kills N`
// it presses the key by itself, N times, and ends.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ClusterNodes, findNats, NatsServers, SIZE } from './servers.ts';
import { Trickle } from './trickle.ts';

const HELP = `npm run demo -- [--kills N]

Three servers of NATS and three nodes of ThrustMQ on this machine, and a trickle of messages.
Needs nats-server on PATH, or in build/nats (.ci/nats-server brings it there). Keys:

  k     kill the node that owns the log; it comes back by itself
  q     end (as Ctrl-C); everything is removed

  --kills N    kill the owner N times, then end; for who cannot press keys
`;
const LINE_MS = 1000;
const BACK_MS = 3000;
const DRAIN_MS = 15_000;

const { values } = parseArgs({ options: { kills: { type: 'string' }, help: { type: 'boolean' } } });
const say = (text: string) => void process.stdout.write(`${text}\n`);

async function main(): Promise<number> {
  if (values.help === true) {
    say(HELP);
    return 0;
  }
  const kills = values.kills === undefined ? undefined : Number(values.kills);
  if (kills !== undefined && !Number.isSafeInteger(kills)) {
    process.stderr.write(`demo: --kills ${values.kills} is no number\n`);
    return 2;
  }
  const program = findNats();
  if (program === undefined) {
    process.stderr.write(
      'demo: there is no nats-server: install it (apt-get install nats-server), or run .ci/nats-server\n',
    );
    return 1;
  }
  const dir = await mkdtemp(join(tmpdir(), 'thrustmq-demo-'));
  const left = leaving();
  try {
    say(`three servers of NATS ${program.version} and three nodes, all on this machine …`);
    const nats = await NatsServers.start(program, dir);
    try {
      return await withNodes(nats, { dir, kills, left });
    } finally {
      await nats.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Settles when somebody wants to end, by key or signal. */
function leaving(): { asked: Promise<void>; ask: () => void } {
  let ask = () => {};
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ask());
  return { asked, ask };
}

interface Wanted {
  dir: string;
  kills: number | undefined;
  left: ReturnType<typeof leaving>;
}

async function withNodes(nats: NatsServers, { dir, kills, left }: Wanted): Promise<number> {
  const starting = ClusterNodes.start({ nats, dir });
  const nodes = await Promise.race([starting, left.asked]);
  if (nodes === undefined) {
    await starting.then((made) => made.stop()).catch(() => {});
    return 0;
  }
  const show = new Show(nodes);
  try {
    show.introduce();
    if (kills === undefined) show.listen(left.ask);
    await (kills === undefined ? left.asked : Promise.race([left.asked, show.kill(kills)]));
    return await show.end();
  } finally {
    await nodes.stop();
  }
}

class Show {
  readonly #nodes: ClusterNodes;
  readonly #trickle: Trickle;
  readonly #lines: NodeJS.Timeout;
  #killing: Promise<void> | undefined;

  constructor(nodes: ClusterNodes) {
    this.#nodes = nodes;
    this.#trickle = new Trickle(nodes.intakes, nodes.exhausts);
    this.#lines = setInterval(() => this.#line(), LINE_MS);
    nodes.changed = ({ node, epoch }) => say(`node ${node + 1} owns the log (epoch ${epoch})`);
  }

  introduce(): void {
    const { intakes, exhausts, dashboards, owning } = this.#nodes;
    for (let i = 0; i < SIZE; i++)
      say(
        `node ${i + 1}: producers 127.0.0.1:${intakes[i]}, consumers 127.0.0.1:${exhausts[i]}, dashboard http://127.0.0.1:${dashboards[i]}/`,
      );
    say(`node ${owning!.node + 1} owns the log (epoch ${owning!.epoch})`);
  }

  /** Takes keys, where there is a keyboard. */
  listen(leave: () => void): void {
    const { stdin } = process;
    say('k: kill the owner, q: end');
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.setEncoding('utf8').on('data', (keys: string) => {
      for (const key of keys) {
        if (key === 'q' || key === '\x03') leave();
        if (key === 'k') this.#strike();
      }
    });
    stdin.on('end', leave);
  }

  /** Kills the owner so many times, one after the other. */
  async kill(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await sleep(LINE_MS);
      await this.#strike();
    }
    await sleep(LINE_MS);
  }

  /** 0: all that was stored has arrived. */
  async end(): Promise<number> {
    clearInterval(this.#lines);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
    say('ending: what was stored and has not arrived yet is waited for …');
    await this.#killing;
    await this.#trickle.end(DRAIN_MS);
    const { stored, again, missing } = this.#trickle;
    say(`${stored} messages stored, ${missing} of them lost, ${again} delivered again`);
    return missing === 0 ? 0 : 1;
  }

  #strike(): Promise<void> {
    this.#killing ??= this.#killOwner().finally(() => {
      this.#killing = undefined;
    });
    return this.#killing;
  }

  async #killOwner(): Promise<void> {
    const { node } = await this.#nodes.owner();
    say(`node ${node + 1} is killed (SIGKILL)`);
    this.#trickle.takeLongest();
    const { stored } = this.#trickle;
    await this.#nodes.crash(node, async () => {
      await this.#nodes.owner();
      while (this.#trickle.stored <= stored + 1) await sleep(LINE_MS / 100);
      const ms = Math.round(this.#trickle.takeLongest());
      say(`messages are stored again: the longest wait was ${ms} ms`);
      await sleep(BACK_MS);
    });
    say(`node ${node + 1} is back, and follows`);
  }

  #line(): void {
    const { stored, arrived, again } = this.#trickle;
    say(`${stored} stored, ${arrived.size} arrived, ${again} again`);
  }
}

process.exit(await main());
