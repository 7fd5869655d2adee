// Writes the new place of a mutant's code into the list that the mutant stands in.

import fs from 'node:fs';
import path from 'node:path';
import type { Mutant } from './mutant.ts';
import { Misfit, mutate } from './mutate.ts';
import { elsewhere, kinshipOf } from './nearest.ts';
import type { Sources } from './sources.ts';
import { parseSnippet } from './syntax.ts';

/**
 * Where the mutant's snippet stands now, if one place is nearer than all others; its list, below
 * `folder`, names that place then. Undefined where a person has to decide.
 */
export function refit(mutant: Mutant, sources: Sources, folder: string): Mutant | undefined {
  const moved = doesParse(mutant.find) ? placeOf(mutant, sources) : undefined;
  if (moved === undefined) return undefined;
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/^mutants.*\.ts$/.test(name)) continue;
    const file = path.join(folder, name);
    const text = fs.readFileSync(file, 'utf8');
    const changed = rewritten(text, mutant, moved);
    if (changed === undefined) continue;
    fs.writeFileSync(file, changed);
    return moved;
  }
  return undefined;
}

function placeOf(mutant: Mutant, sources: Sources): Mutant | undefined {
  const [found, other] = elsewhere(mutant, parseSnippet(mutant.find), sources);
  if (found === undefined || (found.file === mutant.file && found.member === mutant.member))
    return undefined;
  if (other !== undefined && kinshipOf(mutant, other) === kinshipOf(mutant, found))
    return undefined;
  const moved = { ...mutant, file: found.file, member: found.member };
  return isFit(moved, sources) ? moved : undefined;
}

function isFit(mutant: Mutant, sources: Sources): boolean {
  try {
    mutate(mutant, sources);
    return true;
  } catch (error) {
    if (error instanceof Misfit) return false;
    throw error;
  }
}

function doesParse(snippet: string): boolean {
  try {
    parseSnippet(snippet);
    return true;
  } catch {
    return false;
  }
}

/** A list with the mutant's place in it replaced; undefined if the mutant does not stand there. */
export function rewritten(text: string, mutant: Mutant, moved: Mutant): string | undefined {
  const at = ['name', 'file', 'member'].map((key) => line(key, mutant[key as 'name'])).join('');
  const parts = text.split(at);
  if (parts.length !== 2) return undefined;
  return parts.join(
    ['name', 'file', 'member'].map((key) => line(key, moved[key as 'name'])).join(''),
  );
}

// As the formatter writes it.
function line(key: string, value: string): string {
  const quote = value.includes("'") ? '"' : "'";
  return `    ${key}: ${quote}${value}${quote},\n`;
}
