// node build/test/planted/main.js [--refit]: tells which planted bugs do not fit the code, each
// with what is nearest to it now, and ends with 1 if any. --refit first writes the new place into
// the list of those whose snippet has only moved. `npm run prove -- --planted` plants them.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { misfitOf } from './misfits.ts';
import { MUTANTS } from './mutants.ts';
import { refit } from './refit.ts';
import { Sources } from './sources.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const { values } = parseArgs({ options: { refit: { type: 'boolean' } } });

const sources = Sources.below(ROOT);
let misfits = 0;
let refitted = 0;
for (const mutant of MUTANTS) {
  const misfit = misfitOf(mutant, sources, ROOT);
  if (misfit === undefined) continue;
  const moved = values.refit ? refit(mutant, sources, path.join(ROOT, 'test/planted')) : undefined;
  if (moved === undefined) misfits++;
  else refitted++;
  const now = moved && `"${mutant.name}" is in ${moved.member} of ${moved.file} now`;
  process.stdout.write(`${now ?? `${misfit}\n`}\n`);
}
const fit = MUTANTS.length - misfits - refitted;
const more = values.refit ? `, ${refitted} refitted` : '';
process.stdout.write(`${fit} planted bugs fit, ${misfits} do not${more}\n`);
process.exitCode = misfits > 0 ? 1 : 0;
