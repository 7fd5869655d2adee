// What it costs to store messages once: the same load without a window, with one whose ids are in
// memory, and with one most of whose ids have left it for the disk. Every message is another one.

import type { LoadResult } from '../src/load/result.ts';
import { type Load, startedOf } from './bed.ts';
import { END_TO_END } from './loads.ts';
import { residentMiB } from './machine.ts';
import { withRules } from './ruled.ts';
import { type Figure, figure, ratio } from './samples.ts';
import type { Scenario } from './scenario.ts';

const published = ({ publish }: LoadResult): number => publish?.msgPerSecond ?? 0;

const ONCE = '[[rule]]\nname = "once"\nmatch = "*"\ndedup = "1h"\n';
/** Only messages that are verified differ in their bytes. */
const LOAD: Load = { ...END_TO_END, verify: true };
/** The table of ids has room for millions; by default for 70,000. */
const MUCH = ['--memory', '8GiB'];
const CASES: [name: string, rules: string, flags: string[]][] = [
  ['without', '', []],
  ['ids in memory', ONCE, MUCH],
  ['ids on disk', ONCE, []],
];

export const dedup: Scenario = {
  name: 'dedup',
  title: 'messages that are each stored once within an hour, published and consumed',
  async measure(bed) {
    const rates: number[][] = CASES.map(() => []);
    const resident: number[][] = CASES.map(() => []);
    for (let run = 0; run < bed.options.runs; run++) {
      bed.options.note(`run ${run + 1} of ${bed.options.runs}: without, in memory, on disk`);
      for (const [i, [, rules, more]] of CASES.entries())
        await withRules(bed, rules, async (flags) => {
          const broker = await bed.broker([...flags, ...more]);
          try {
            const sample = await bed.measure(startedOf(broker), LOAD);
            const refused = sample.publish?.refused ?? 0;
            if (refused > 0) throw new Error(`${refused} messages were refused`);
            rates[i]!.push(published(sample));
            const mib = residentMiB(broker.pid);
            if (mib !== undefined) resident[i]!.push(mib);
          } finally {
            await broker.stop();
          }
        });
    }
    const figures: Figure[] = [];
    for (const [i, [name]] of CASES.entries()) {
      figures.push(figure(`published: ${name}`, 'msg/s', rates[i]!));
      if (resident[i]!.length > 0) figures.push(figure(`resident: ${name}`, 'MiB', resident[i]!));
      if (i > 0) figures.push(ratio(`published: ${name} ÷ without`, rates[i]!, rates[0]!));
    }
    return figures;
  },
};
