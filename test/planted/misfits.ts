// What is wrong with a planted bug: its place is not there, or the test that is named for it.

import fs from 'node:fs';
import path from 'node:path';
import type { Mutant } from './mutant.ts';
import { Misfit, mutate } from './mutate.ts';
import type { Sources } from './sources.ts';

/** Why a mutant does not fit, with what is nearest; undefined if it does. `root`: the project. */
export function misfitOf(mutant: Mutant, sources: Sources, root: string): string | undefined {
  try {
    mutate(mutant, sources);
  } catch (error) {
    if (error instanceof Misfit) return error.message;
    throw error;
  }
  if (fs.existsSync(path.join(root, mutant.test))) return undefined;
  const alike = fs
    .readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => path.basename(name) === path.basename(mutant.test))
    .map((name) => `\n  of that name: test/${name}`);
  return `"${mutant.name}" does not fit: there is no ${mutant.test}${alike.join('')}`;
}
