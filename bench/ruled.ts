// A broker's rules for a scenario, in a file that lives as long as it is needed.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Bed } from './bed.ts';

/** Calls `use` with flags for a broker that has these rules. */
export async function withRules<T>(
  bed: Bed,
  rules: string,
  use: (flags: string[]) => Promise<T>,
): Promise<T> {
  if (rules === '') return use([]);
  await mkdir(bed.options.dir, { recursive: true });
  const folder = await mkdtemp(join(resolve(bed.options.dir), 'rules-'));
  try {
    const file = join(folder, 'rules.toml');
    await writeFile(file, rules);
    return await use(['--config', file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
