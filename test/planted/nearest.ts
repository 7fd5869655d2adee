// What a mutant that does not fit could have meant: the same snippet elsewhere, else what is most
// like it in its member, in its file, and in all sources.

import type { Mutant } from './mutant.ts';
import { lineAt, type Sources } from './sources.ts';
import { type Node, type Place, placesIn, type Snippet } from './syntax.ts';

/** A place where a mutant's snippet stands, as it is or much alike. */
export interface Candidate {
  file: string;
  member: string;
  line: number;
  text: string;
  /** 1 is the same, 0 has nothing in common. */
  likeness: number;
}

const SHOWN = 3;
// Less than this has too little in common to be shown.
const ALIKE = 0.4;

/** The places at which exactly this stands, in all sources, those nearest to the mutant's first. */
export function elsewhere(mutant: Mutant, snippet: Snippet, sources: Sources): Candidate[] {
  return sources.names
    .flatMap((file) =>
      [...sources.members(file).keys()].flatMap((member) =>
        sources
          .places(file, member, snippet)
          .map((place) => candidate(sources, file, member, place, 1)),
      ),
    )
    .sort((a, b) => kinshipOf(mutant, b) - kinshipOf(mutant, a));
}

/** How near a place is to a mutant's by its name: a file moves, a class gets another name. */
export function kinshipOf({ file, member }: Mutant, place: Candidate): number {
  const part = (name: string) => name.split('.').at(-1);
  if (place.member === member) return place.file === file ? 4 : 3;
  if (part(place.member) === part(member)) return place.file === file ? 2 : 1;
  return 0;
}

/** Lines that say what is nearest to what a mutant looks for. */
export function nearest(mutant: Mutant, snippet: Snippet, sources: Sources): string {
  const { file, member } = mutant;
  const same = elsewhere(mutant, snippet, sources).slice(0, SHOWN);
  if (same.length > 0) return same.map((each) => `\n  it stands in ${shown(each, false)}`).join('');
  const words = pairsOf(snippet.text);
  const all = sources.names.flatMap((name) =>
    [...sources.members(name)].flatMap(([of, roots]) =>
      alike(sources, name, of, roots, snippet, words),
    ),
  );
  // Of what is equally alike, what is nearer comes first.
  const far = (each: Candidate) => (each.file !== file ? 2 : each.member !== member ? 1 : 0);
  const better = (a: Candidate, b: Candidate) => b.likeness - a.likeness || far(a) - far(b);
  all.sort(better);
  const picked = new Set(
    [0, 1, 2].flatMap((most) => all.find((each) => far(each) <= most) ?? []).sort(better),
  );
  const lines = [...picked].map((each) => `\n  nearest in ${shown(each, true)}`);
  const names = [...sources.members(file).keys()];
  if (sources.text(file) !== undefined && !names.includes(member))
    lines.push(`\n  its members: ${names.join(', ')}`);
  return lines.join('');
}

function alike(
  sources: Sources,
  file: string,
  member: string,
  roots: readonly Node[],
  snippet: Snippet,
  words: ReadonlyMap<string, number>,
): Candidate[] {
  const text = sources.text(file)!;
  const { length } = snippet.text;
  const found: Candidate[] = [];
  placesIn(roots, snippet, false, (nodes) => {
    if (nodes.length === 0) return false;
    const place = { start: nodes[0]!.start, end: nodes.at(-1)!.end };
    const bytes = place.end - place.start;
    if (bytes > 3 * length + 20 || 3 * bytes + 20 < length) return false;
    const likeness = likenessOf(words, pairsOf(text.slice(place.start, place.end)));
    if (likeness >= ALIKE) found.push(candidate(sources, file, member, place, likeness));
    return false;
  });
  return found;
}

function candidate(
  sources: Sources,
  file: string,
  member: string,
  { start, end }: Pick<Place, 'start' | 'end'>,
  likeness: number,
): Candidate {
  const text = sources.text(file)!;
  const line = lineAt(text, start);
  return { file, member, line, text: text.slice(start, end).replace(/\s+/g, ' '), likeness };
}

function shown({ file, member, line, text, likeness }: Candidate, whole: boolean): string {
  const where = `${file}:${line}, ${member}`;
  return whole ? `${where} (${Math.round(likeness * 100)} %):\n    ${text}` : where;
}

// Words and marks of a text, each and with the next one, and how often.
function pairsOf(text: string): Map<string, number> {
  const words = text.match(/[#\w$]+|[^\s\w]/g) ?? [];
  const pairs = new Map<string, number>();
  for (const [i, word] of words.entries())
    for (const each of [word, `${word} ${words[i + 1] ?? ''}`])
      pairs.set(each, (pairs.get(each) ?? 0) + 1);
  return pairs;
}

// The share of what both have in common (Dice).
function likenessOf(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  let common = 0;
  let all = 0;
  for (const [pair, times] of a) {
    common += Math.min(times, b.get(pair) ?? 0);
    all += times;
  }
  for (const times of b.values()) all += times;
  return (2 * common) / all;
}
