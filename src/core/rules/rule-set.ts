// All rules that there are, by name: those of the configuration file, which stay as they are, and
// those that were set while a broker ran, each with its version. Never changed: another rule makes
// another set, or an error that says why there can be none.

import { compileRules } from './compile.ts';
import { RULES_MAX } from './matchers.ts';
import { parseRule, type Rule } from './rule.ts';
import { RuleError } from './rule-error.ts';
import type { RuleTable } from './rule-table.ts';

/** Most bytes of rules as text, in a file and over all. */
export const RULES_BYTES_MAX = 16 * 1024 * 1024;

export interface KnownRule {
  readonly rule: Rule;
  /** Sequence of the message that says it; 0: it stands in the configuration file. */
  readonly version: number;
}

export class RuleSet {
  readonly table: RuleTable;
  readonly #rules: ReadonlyMap<string, KnownRule>;
  readonly #bytes: number;

  private constructor(rules: ReadonlyMap<string, KnownRule>, bytes: number, table?: RuleTable) {
    if (rules.size > RULES_MAX)
      throw new RuleError(`there would be ${rules.size} rules; at most ${RULES_MAX} are possible`);
    if (bytes > RULES_BYTES_MAX)
      throw new RuleError(
        `the rules would have more than ${RULES_BYTES_MAX} bytes of text in all: ${bytes}`,
      );
    this.#rules = rules;
    this.#bytes = bytes;
    this.table = table ?? compileRules([...rules.values()].map(({ rule }) => rule));
  }

  /**
   * The rules of a configuration file with those of the log, as texts by their versions.
   * @throws RuleError naming a rule that this version cannot carry out, or two that cannot be
   * together.
   */
  static of(file: RuleTable, texts: ReadonlyMap<number, string>): RuleSet {
    const rules = new Map<string, KnownRule>();
    let bytes = 0;
    for (const rule of file.rules) {
      rules.set(rule.name, { rule, version: 0 });
      bytes += rule.text.length;
    }
    for (const [version, text] of texts) {
      const rule = readBack(text);
      if (rules.has(rule.name))
        throw new RuleError(
          `there are two rules "${rule.name}": one of the configuration file, and one that was set while a broker ran; give the one in the file another name`,
          [rule.name],
        );
      rules.set(rule.name, { rule, version });
      bytes += text.length;
    }
    return new RuleSet(rules, bytes, texts.size === 0 ? file : undefined);
  }

  get size(): number {
    return this.#rules.size;
  }

  find(name: string): KnownRule | undefined {
    return this.#rules.get(name);
  }

  /** Whether those that were set are these, by version. */
  isOf(texts: ReadonlyMap<number, string>): boolean {
    let set = 0;
    for (const { version } of this.#rules.values()) {
      if (version === 0) continue;
      if (!texts.has(version)) return false;
      set++;
    }
    return set === texts.size;
  }

  /**
   * The same with another rule, in place of one of its name.
   * @throws RuleError when it cannot be together with the others.
   */
  with(rule: Rule, version: number): RuleSet {
    const before = this.#rules.get(rule.name)?.rule.text.length ?? 0;
    const rules = new Map(this.#rules).set(rule.name, { rule, version });
    return new RuleSet(rules, this.#bytes - before + rule.text.length);
  }

  /**
   * The same without a rule.
   * @throws RuleError when the others cannot be without it.
   */
  without(name: string): RuleSet {
    const rules = new Map(this.#rules);
    const before = rules.get(name)?.rule.text.length ?? 0;
    rules.delete(name);
    return new RuleSet(rules, this.#bytes - before);
  }
}

function readBack(text: string): Rule {
  try {
    return parseRule(text);
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    const { message, rules } = error;
    throw new RuleError(`a rule was set by another version of the broker: ${message}`, rules);
  }
}
