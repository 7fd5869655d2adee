// Finds the place that a mutant names and changes it there. A mutant that does not fit, because the
// code has moved on, is told with what is nearest to it now.

import type { Mutant } from './mutant.ts';
import { nearest } from './nearest.ts';
import { isTyped, lineAt, type Sources } from './sources.ts';
import {
  membersOf,
  type Node,
  type Place,
  parseSnippet,
  parseSource,
  type Snippet,
  shapeOf,
} from './syntax.ts';
import { unboundIn } from './unbound.ts';

/** A mutant whose place is not there, not once, or cannot be changed like that. */
export class Misfit extends Error {}

/** The text of the mutant's source with the fault in it. Throws a `Misfit` if it does not fit. */
export function mutate(mutant: Mutant, sources: Sources): string {
  const { file, member } = mutant;
  const find = snippetOf(mutant, 'find');
  const replace = snippetOf(mutant, 'replace');
  if (find.statements.length === 0) throw misfit(mutant, 'it looks for nothing');
  const text = sources.text(file);
  const far = (what: string) =>
    misfit(mutant, `${what}:\n    ${mutant.find}${nearest(mutant, find, sources)}`);
  if (text === undefined) throw far(`there is no ${file}`);
  if (!sources.members(file).has(member)) throw far(`no member ${member} in ${file}`);
  const places = sources.places(file, member, find);
  if (places.length === 0) throw far(`not in ${member} of ${file}`);
  if (places.length > 1) {
    const lines = places.map(({ start }) => lineAt(text, start)).join(', ');
    const where = `${places.length} times in ${member} of ${file}, lines ${lines}`;
    throw misfit(mutant, `${where}: take more of it than\n    ${mutant.find}`);
  }
  // A private name that is nowhere declared would end the whole file, and prove nothing.
  const strange = mutant.replace.match(/#[A-Za-z_]\w*/g)?.find((name) => !text.includes(name));
  if (strange !== undefined)
    throw misfit(mutant, `it uses ${strange}, which ${file} does not have`);
  const changed = replaced(mutant, text, places[0]!, replace);
  const program = programIn(mutant, changed);
  const shape = (nodes: readonly Node[] = []) =>
    nodes.map((node) => shapeOf(node, isTyped(file))).join(' ');
  if (shape(membersOf(program).get(member)) === shape(sources.members(file).get(member)))
    throw misfit(mutant, 'it changes nothing');
  // A name that nothing binds ends whatever comes to it, and proves as little.
  const unbound = isTyped(file) ? [] : [...unboundIn(program)];
  const lost = unbound.filter((name) => !sources.unbound(file).has(name));
  if (lost.length > 0)
    throw misfit(mutant, `nothing in ${file} binds what it uses: ${lost.join(', ')}`);
  return changed;
}

function replaced(
  mutant: Mutant,
  text: string,
  { start, end, within }: Place,
  by: Snippet,
): string {
  const put = (what: string) => text.slice(0, start) + what + text.slice(end);
  const last = by.text.trim();
  const ended = last === '' || /[;}]$/.test(last) ? last : `${last};`;
  if (within === 'list') return put(ended);
  if (within === 'statement') return put(by.statements.length === 1 ? ended : `{ ${ended} }`);
  if (by.expression === undefined)
    throw misfit(mutant, `an expression stands there, and no statement can: ${last}`);
  return put(`(${last.replace(/;$/, '')})`);
}

function programIn(mutant: Mutant, text: string): readonly Node[] {
  try {
    return parseSource(text);
  } catch (error) {
    throw misfit(mutant, `${mutant.file} does not parse with it: ${(error as Error).message}`);
  }
}

function snippetOf(mutant: Mutant, which: 'find' | 'replace'): Snippet {
  try {
    return parseSnippet(mutant[which]);
  } catch (error) {
    throw misfit(mutant, `its "${which}" does not parse: ${(error as Error).message}`);
  }
}

function misfit({ name }: Mutant, why: string): Misfit {
  return new Misfit(`"${name}" does not fit: ${why}`);
}
