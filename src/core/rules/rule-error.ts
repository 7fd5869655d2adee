// What is said of a rule that cannot be: what is wrong, with what, and what would be right.

/** Longest piece of somebody's text that is said again. */
const QUOTED = 64;

/** A rule, or a set of rules, that is refused. Its message is for the one who wrote it. */
export class RuleError extends Error {
  override name = 'RuleError';
  /** Names of the rules that are concerned; empty while a single one is read. */
  readonly rules: readonly string[];
  /** What of a rule is wrong, where it is one part: `name`, `match`, or a key. */
  readonly at: string | undefined;

  constructor(message: string, rules: readonly string[] = [], at?: string) {
    super(message);
    this.rules = rules;
    this.at = at;
  }
}

/** `text` as it may stand in a message or a line of log, whatever bytes it has. */
export function quote(text: string): string {
  const short = text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text;
  return JSON.stringify(short).replace(
    /[^\x20-\x7e…]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
