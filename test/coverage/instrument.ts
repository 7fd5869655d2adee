// Puts a counter at every outcome of every branch of a script: text in, text out. Counted are
// both outcomes of each condition (if, ?:, &&, ||, loops), of each value that may be missing (??,
// ?., ??=), each case of a switch and that none fits, each catch, default value, loop body and
// function. V8's own coverage does not tell an if that is always taken, and knows nothing of ?.

import { parsers } from 'prettier/plugins/acorn';

/** One outcome of a branch, in the order of the counters. */
export interface Outcome {
  /** What has not happened if the counter is zero, as "if is false". */
  what: string;
  /** Offset of the branch in the text. */
  at: number;
}

interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

interface Insertion {
  at: number;
  text: string;
  closes: boolean;
}

/** What instrumented scripts import, and the name that their counters have. */
const PRELUDE = (from: string, script: string, outcomes: number) =>
  `import { countersOf as $of, truth as $truth, there as $there } from '${from}';` +
  `const $n = $of('${script}', ${outcomes});`;

const SIMPLE = /^(this|\w+)(\.#?\w+)*$/;
const BLOCK = 'BlockStatement';

function isNode(value: unknown): value is Node {
  return typeof (value as Node | null)?.type === 'string';
}

class Instrumented {
  readonly outcomes: Outcome[] = [];
  readonly #insertions: Insertion[] = [];
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.#visit(parsers.acorn.parse(text, {} as never) as Node);
  }

  /** The text with its counters; lines stay where they are. */
  text(): string {
    // Where one ends and another begins, what ends comes first; of those that end, the inner.
    const parts = this.#insertions.map((insertion, order) => ({ ...insertion, order }));
    parts.sort(
      (a, b) =>
        a.at - b.at ||
        Number(b.closes) - Number(a.closes) ||
        (a.closes ? b.order - a.order : a.order - b.order),
    );
    let text = '';
    let done = 0;
    for (const { at, text: part } of parts) {
      text += this.#text.slice(done, at) + part;
      done = at;
    }
    return text + this.#text.slice(done);
  }

  #visit(node: Node): void {
    this.#count(node);
    for (const [key, value] of Object.entries(node)) {
      if (key === 'comments') continue;
      for (const child of Array.isArray(value) ? value : [value])
        if (isNode(child)) this.#visit(child);
    }
  }

  #count(node: Node): void {
    const part = (name: string) => node[name] as Node;
    const operator = node.operator as string;
    const optional = node.optional === true;
    switch (node.type) {
      case 'IfStatement':
        this.#either('$truth', part('test'), 'if is true', 'if is false');
        break;
      case 'ConditionalExpression':
        this.#either('$truth', part('test'), '?: is true', '?: is false');
        break;
      case 'WhileStatement':
      case 'DoWhileStatement':
      case 'ForStatement':
        if (node.test !== null && part('test').type !== 'Literal')
          this.#either('$truth', part('test'), 'loop goes on', 'loop ends');
        break;
      case 'ForOfStatement':
      case 'ForInStatement':
        this.#body(part('body'), 'loop has something');
        break;
      case 'LogicalExpression':
        if (operator === '??') this.#mayMiss(part('left'), operator);
        else this.#mayBeFalse(part('left'), operator);
        break;
      case 'AssignmentExpression':
        this.#assigned(node, operator);
        break;
      case 'AssignmentPattern':
        this.#once(part('right'), 'default value is used');
        break;
      case 'CatchClause':
        this.#body(part('body'), 'catch is entered');
        break;
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        if (part('body').type === BLOCK) this.#body(part('body'), 'function is called', node);
        else this.#once(part('body'), 'function is called', node);
        break;
      case 'SwitchStatement':
        this.#cases(node);
        break;
      case 'MemberExpression':
        if (optional) this.#mayMiss(part('object'), '?.');
        break;
      case 'CallExpression':
        if (optional) this.#called(node, part('callee'));
        break;
    }
  }

  #outcome(node: Node, what: string): number {
    return this.outcomes.push({ what, at: node.start }) - 1;
  }

  #insert(at: number, text: string, closes = false): void {
    this.#insertions.push({ at, text, closes });
  }

  #around(node: Node, before: string, after: string): void {
    this.#insert(node.start, before);
    this.#insert(node.end, after, true);
  }

  #either(call: string, node: Node, first: string, second: string): void {
    const at = this.#outcome(node, first);
    this.#outcome(node, second);
    this.#around(node, `${call}($n, ${at}, (`, '))');
  }

  #once(node: Node, what: string, where = node): void {
    this.#around(node, `($n[${this.#outcome(where, what)}] += 1, (`, '))');
  }

  #body(node: Node, what: string, where = node): void {
    const counted = `$n[${this.#outcome(where, what)}] += 1; `;
    if (node.type === BLOCK) this.#insert(node.start + 1, ` ${counted}`);
    else this.#around(node, `{ ${counted}`, ' }');
  }

  #mayMiss(left: Node, operator: string): void {
    this.#either('$there', left, `left of ${operator} is there`, `left of ${operator} is missing`);
  }

  #mayBeFalse(left: Node, operator: string): void {
    this.#either('$truth', left, `left of ${operator} is true`, `left of ${operator} is false`);
  }

  // f?.(): a call of a member needs the object that it is a member of, so f is looked at ahead.
  #called(node: Node, callee: Node): void {
    if (callee.type === 'MemberExpression') this.#ahead(node, '$there', callee, '?.()');
    else this.#mayMiss(callee, '?.()');
  }

  // x ??= y: looks at x once more in front of it, so x must be the same when asked twice.
  #assigned(node: Node, operator: string): void {
    if (!/^(\?\?|\|\||&&)=$/.test(operator)) return;
    this.#ahead(node, operator === '??=' ? '$there' : '$truth', node.left as Node, operator);
  }

  #ahead(node: Node, call: string, asked: Node, operator: string): void {
    const text = this.#text.slice(asked.start, asked.end);
    const goesOn = /^\s*(\?\.|[.[(])/.test(this.#text.slice(node.end));
    if (!SIMPLE.test(text) || goesOn)
      throw new Error(`${text} ${operator} can't be counted: give what it works on a name`);
    const [yes, no] = call === '$there' ? ['there', 'missing'] : ['true', 'false'];
    const at = this.#outcome(asked, `left of ${operator} is ${yes}`);
    this.#outcome(asked, `left of ${operator} is ${no}`);
    this.#around(node, `(${call}($n, ${at}, ${text}), (`, '))');
  }

  #cases(node: Node): void {
    const cases = node.cases as Node[];
    for (const one of cases) {
      const [first] = one.consequent as Node[];
      const label = one.test as Node | null;
      const name = label === null ? 'default' : this.#text.slice(label.start, label.end);
      const at = first?.start ?? one.end;
      this.#insert(at, ` $n[${this.#outcome(one, `case ${name}`)}] += 1; `);
    }
    if (cases.some((one) => one.test === null)) return;
    this.#insert(node.end - 1, `default: $n[${this.#outcome(node, 'no case')}] += 1; `);
  }
}

/** The script with its counters, which it imports from `from`, and what each of them counts. */
export function instrument(
  text: string,
  script: string,
  from: string,
): { text: string; outcomes: Outcome[] } {
  const made = new Instrumented(text);
  const prelude = PRELUDE(from, script, made.outcomes.length);
  return { text: prelude + made.text(), outcomes: made.outcomes };
}
