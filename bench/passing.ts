// What it costs that a client is connected to a node that passes it on: the same load on the same
// sink or relay, directly and through a node.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../src/load/child.ts';
import type { Flow, LoadResult } from '../src/load/result.ts';
import type { Bed, Load, Started } from './bed.ts';
import { END_TO_END, STREAM, SYNCHRONOUS } from './loads.ts';
import { figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

interface Both {
  direct: LoadResult[];
  passed: LoadResult[];
}

const perSecond = (flow: Flow | undefined): number => flow?.msgPerSecond ?? 0;
const published = ({ publish }: LoadResult): number => perSecond(publish);
const consumed = ({ consume }: LoadResult): number => perSecond(consume);
const ackMs = ({ publish }: LoadResult): number => publish?.latencyMs?.p50 ?? Number.NaN;

export const passing: Scenario = {
  name: 'passing',
  title: 'clients of a node that passes them on, beside the same clients directly',
  async measure(bed) {
    const publish = await both(bed, 'publish', STREAM);
    const endToEnd = await both(bed, 'end to end', END_TO_END);
    const one = await both(bed, 'one synchronous client', SYNCHRONOUS);
    const [direct, passed] = [one.direct.map(ackMs), one.passed.map(ackMs)];
    return [
      ...figuresOf('published', publish, published),
      ...figuresOf('end to end', endToEnd, consumed),
      figure('one synchronous client, directly, ack p50', 'ms', direct),
      figure('one synchronous client, passed on, ack p50', 'ms', passed),
      figure(
        'one synchronous client, added by passing on, ack p50',
        'ms',
        passed.map((ms, index) => ms - direct[index]!),
      ),
    ];
  },
};

function figuresOf(what: string, { direct, passed }: Both, of: (result: LoadResult) => number) {
  return [
    figure(`${what}, directly`, 'msg/s', direct.map(of)),
    figure(`${what}, passed on`, 'msg/s', passed.map(of)),
    ratio(`${what}, passed on ÷ directly`, passed.map(of), direct.map(of)),
  ];
}

async function both(bed: Bed, what: string, load: Load): Promise<Both> {
  const result: Both = { direct: [], passed: [] };
  for (let run = 1; run <= bed.options.runs; run++) {
    bed.options.note(`run ${run} of ${bed.options.runs}: ${what}, directly and passed on`);
    await withNodes(load.consumers === 0 ? 'sink' : 'relay', async (owner, node) => {
      result.direct.push(await bed.measure(owner, load));
      result.passed.push(await bed.measure(node, load));
    });
  }
  return result;
}

// An owner and a node, both fresh, while `use` runs.
async function withNodes(
  kind: 'sink' | 'relay',
  use: (owner: Started, node: Started) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'thrustmq-bench-'));
  const children: Child[] = [];
  const start = async (name: string, ...args: string[]) => {
    const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    const child = new Child(script, { args });
    children.push(child);
    const { intake, exhaust, port } = await child.event('ready');
    const ports = { intakePort: intake as number, exhaustPort: exhaust as number };
    return { started: { ports, pid: child.pid, stop: () => child.stop() } as Started, port };
  };
  try {
    const token = join(folder, 'token');
    await writeFile(token, 'known to nobody but this run of the benchmark\n', { mode: 0o600 });
    const owner = await start('passing-owner', token, kind);
    const node = await start('passing-node', token, String(owner.port));
    await use(owner.started, node.started);
  } finally {
    for (const child of children.reverse()) await child.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
