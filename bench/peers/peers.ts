// The scenario `peers`: the same work on the broker and on every peer that this machine has, in
// turn, each sample on a fresh server. A peer that is not there, or fails, is named as that.

import type { Bed, Load, Sample } from '../bed.ts';
import type { Cores } from '../cpu.ts';
import { BACKLOG_MESSAGES_MAX, END_TO_END, STREAM, SYNCHRONOUS } from '../loads.ts';
import { absent, type Figure, figure, ratio } from '../samples.ts';
import type { Scenario } from '../scenario.ts';
import type { ClientPlan } from './client.ts';
import { loadSystem, type PeerSample, startSystem } from './running.ts';
import { type Guarantee, SYSTEMS, type System } from './systems.ts';

type PeerLoad = Omit<ClientPlan, 'protocol' | 'port' | 'warmupMs' | 'durationMs'>;

interface Work {
  /** What stands before each figure. */
  short: string;
  /** What a chart says. */
  name: string;
  /** What the broker is given. */
  load: Load;
  /** The same for a peer. */
  peer: PeerLoad;
  /** What is counted. */
  counts: 'publish' | 'consume';
}

const BODY_BYTES = 100;
const CLIENTS = 64;

const BULK: PeerLoad = {
  messageBytes: BODY_BYTES,
  producers: 1,
  batchMessages: 1000,
  inFlight: 16,
  backlogMessagesMax: undefined,
};

const WORKS: readonly Work[] = [
  {
    short: 'publish',
    name: 'publish, 100 B, up to 16 × 1000 unconfirmed',
    load: STREAM,
    peer: BULK,
    counts: 'publish',
  },
  {
    short: 'end to end',
    name: 'published, delivered and acked, the same load',
    load: END_TO_END,
    peer: { ...BULK, backlogMessagesMax: BACKLOG_MESSAGES_MAX },
    counts: 'consume',
  },
  {
    short: `${CLIENTS} clients`,
    name: `${CLIENTS} synchronous clients, one message at a time`,
    load: { ...SYNCHRONOUS, producers: CLIENTS, messageBytes: BODY_BYTES },
    peer: { ...BULK, producers: CLIENTS, batchMessages: 1, inFlight: 1 },
    counts: 'publish',
  },
];

/** Somebody who takes part, and what has been measured of it. */
interface Entrant {
  name: string;
  guarantee: Guarantee;
  detail: string;
  ours: boolean;
  sample(bed: Bed, work: Work): Promise<{ rate: number; cores: Cores | undefined }>;
  rates: number[];
  cores: (Cores | undefined)[];
  /** Why there is nothing. */
  missing: string | undefined;
}

function broker(): Entrant {
  return {
    name: 'ThrustMQ',
    guarantee: 'synced before the ack',
    detail: '--sync commit',
    ours: true,
    // On an empty folder, as the others are.
    sample: async (bed, { load, counts }) => {
      const sample: Sample = await bed.sample('broker', load);
      return { rate: sample[counts]?.msgPerSecond ?? 0, cores: sample.cores };
    },
    rates: [],
    cores: [],
    missing: undefined,
  };
}

function entrant(system: System, remark: (text: string) => void): Entrant {
  const { name, guarantee, detail } = system;
  const common = { guarantee, detail, ours: false, rates: [], cores: [] };
  const found = system.find();
  if ('absent' in found)
    return { ...common, name, missing: `absent: ${found.absent}`, sample: nothing };
  const { settings } = system.setup(found.file, 'DIR', [0, 0, 0]);
  remark(`${name} ${found.version}: ${settings}.`);
  return {
    ...common,
    name: `${name} ${found.version}`,
    missing: undefined,
    sample: async (bed, { peer, counts }) => {
      const { rate, cores } = await onPeer(system, found.file, bed, peer, counts);
      return { rate, cores };
    },
  };
}

const nothing = (): Promise<never> => Promise.reject(new Error('it is absent'));

async function onPeer(
  system: System,
  file: string,
  bed: Bed,
  load: PeerLoad,
  counts: Work['counts'],
): Promise<{ rate: number; cores: Cores | undefined }> {
  const { dir, seconds, warmupSeconds } = bed.options;
  const running = await startSystem(system, file, dir);
  try {
    const timing = { warmupMs: warmupSeconds * 1000, durationMs: seconds * 1000 };
    const sample: PeerSample = await loadSystem(system, running, { ...load, ...timing });
    const { publishedPerSecond, deliveredPerSecond, cores } = sample;
    return { rate: counts === 'publish' ? publishedPerSecond : deliveredPerSecond, cores };
  } finally {
    await running.stop();
  }
}

/** Rounds over everybody, so that what changes on the machine hits all of them. */
async function rounds(bed: Bed, work: Work, entrants: readonly Entrant[]): Promise<void> {
  const { runs, note } = bed.options;
  for (let run = 1; run <= runs; run++)
    for (const one of entrants) {
      if (one.missing !== undefined) continue;
      note(`${work.short}: run ${run} of ${runs}: ${one.name}`);
      try {
        const { rate, cores } = await one.sample(bed, work);
        if (rate === 0) throw new Error('not one message came through in the window');
        one.rates.push(rate);
        one.cores.push(cores);
      } catch (error) {
        if (one.ours) throw error;
        note(`${one.name}: ${(error as Error).message}`);
        one.missing = `failed: ${(error as Error).message.split('\n')[0].slice(0, 200)}`;
      }
    }
}

function rowOf(work: Work, one: Entrant): Figure {
  const name = `${work.short}: ${one.name}`;
  if (one.missing !== undefined) return absent(name, 'msg/s', one.missing);
  const note = [`${one.guarantee} (${one.detail})`, busy(one.cores)].filter((text) => text !== '');
  return {
    ...figure(name, 'msg/s', one.rates),
    note: note.join('; '),
    cores: one.cores,
    bar: { load: work.name, system: one.name, guarantee: one.guarantee, ours: one.ours },
  };
}

/** Who was busy, as a mean over the samples. */
export function busy(samples: readonly (Cores | undefined)[]): string {
  const known = samples.filter((cores) => cores !== undefined);
  if (known.length === 0) return '';
  const mean = (side: keyof Cores): string =>
    (known.reduce((sum, cores) => sum + cores[side], 0) / known.length).toFixed(2);
  return `server ${mean('server')}, client ${mean('client')} cores`;
}

const STRENGTH: Record<Guarantee, number> = {
  'acked before the sync': 0,
  'synced before the ack': 1,
};

/** Ours against the best of those who promise as much or less, and of those who promise as much. */
export function comparisons(
  work: string,
  entrants: readonly Pick<Entrant, 'name' | 'guarantee' | 'ours' | 'rates' | 'missing'>[],
): Figure[] {
  const ours = entrants.find((one) => one.ours);
  if (ours === undefined) return [];
  const peers = entrants.filter((one) => !one.ours && one.missing === undefined);
  const allowed = peers.filter(({ guarantee }) => STRENGTH[guarantee] <= STRENGTH[ours.guarantee]);
  const median = ({ name, rates }: { name: string; rates: number[] }): number =>
    figure(name, 'msg/s', rates).median;
  const best = (list: typeof peers): (typeof peers)[number] | undefined =>
    [...list].sort((a, b) => median(b) - median(a))[0];
  const any = best(allowed);
  const same = best(allowed.filter(({ guarantee }) => guarantee === ours.guarantee));
  const figures: Figure[] = [];
  if (any !== undefined)
    figures.push(ratio(`${work}: ${ours.name} ÷ best peer (${any.name})`, ours.rates, any.rates));
  if (same !== undefined && same !== any)
    figures.push(
      ratio(
        `${work}: ${ours.name} ÷ best that syncs as well (${same.name})`,
        ours.rates,
        same.rates,
      ),
    );
  return figures;
}

export const peers: Scenario = {
  name: 'peers',
  title: 'the same work on the peers that this machine has',
  async measure(bed, remark) {
    const wanted = SYSTEMS.filter(
      ({ key }) => bed.options.peers === undefined || bed.options.peers.includes(key),
    );
    const figures: Figure[] = [];
    const all = [broker(), ...wanted.map((system) => entrant(system, remark))];
    for (const work of WORKS) {
      remark(`${work.short}: ${work.name}.`);
      const entrants = all.map((one) => ({ ...one, rates: [], cores: [] }));
      await rounds(bed, work, entrants);
      figures.push(...entrants.map((one) => rowOf(work, one)));
      figures.push(...comparisons(work.short, entrants));
    }
    remark(
      'Cores are the mean processor time of each side in the window: a client near 1.00 is what was measured, not its server.',
    );
    return figures;
  },
};
