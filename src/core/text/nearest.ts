// "Did you mean": the nearest known name to one that is not known. Pure.

/** The candidate closest to `name`, or undefined if none is close enough to be worth a hint. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(name);
  let best: string | undefined;
  let bestScore = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const score = distance(wanted, plain(candidate));
    if (score < bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

/** In a word of so many letters two may be wrong; in a shorter one that makes another word. */
const LONG_WORD = 6;
/** Letters by which a shortened word is still known. */
const STEM_LETTERS = 3;

/**
 * The candidate that `name` must have been meant to be, or undefined: each of its words is one of the
 * candidate's with a wrong letter or, where there are several, in another place or shortened; or
 * words are only divided otherwise. Much less than what is worth a hint.
 */
export function meantName(name: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(name).split('_');
  const near = candidates.filter((candidate) => {
    const known = plain(candidate).split('_');
    if (wanted.length !== known.length) return distance(wanted.join(''), known.join('')) <= 1;
    return haveSameWords(wanted, known);
  });
  return nearestName(name, near) ?? near[0];
}

function haveSameWords(words: readonly string[], others: readonly string[]): boolean {
  const left = [...others];
  const mayBeShort = words.length > 1;
  return words.every((word, place) => {
    if (isNear(word, others[place]) && left.includes(others[place])) {
      left.splice(left.indexOf(others[place]), 1);
      return true;
    }
    const at = left.findIndex(
      (other) => word === other || (mayBeShort && haveSameStem(word, other)),
    );
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

function isNear(a: string, b: string): boolean {
  return distance(a, b) <= (Math.min(a.length, b.length) >= LONG_WORD ? 2 : 1);
}

function haveSameStem(a: string, b: string): boolean {
  const isLong = Math.min(a.length, b.length) >= STEM_LETTERS;
  return isLong && (a.startsWith(b) || b.startsWith(a));
}

/** Case and the kind of dash make no difference to what was meant. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll('-', '_').slice(0, 64);
}

/** Edits between two words, a swap of neighbours counting as one. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}
