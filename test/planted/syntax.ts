// Sources as syntax trees: the members of a file, and snippets that are compared with them by what
// they mean to the compiler. White space, comments, quotes, brackets, semicolons and trailing
// commas do not count; nor do types, but in the module, where they decide what is computed.
//
// The parser is Babel's: plain JavaScript that reads TypeScript with places. The compiler of the
// build has no interface of its own that is promised. From version 8 on the parser
// wants a newer Node.js than this project.

import { type ParserOptions, parse, parseExpression } from '@babel/parser';

export interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

/** Statements, or the one expression that a statement consists of. */
export interface Snippet {
  text: string;
  statements: readonly Node[];
  expression: Node | undefined;
}

/** Where a snippet stands: in a list of statements, alone (behind an `if`), or in an expression. */
export interface Place {
  start: number;
  end: number;
  within: 'list' | 'statement' | 'expression';
}

const OPTIONS: ParserOptions = {
  sourceType: 'module',
  plugins: ['typescript'],
  errorRecovery: true,
  allowReturnOutsideFunction: true,
  allowSuperOutsideMethod: true,
};

// What a snippet may do because of where it stands.
const FROM_OUTSIDE = ['InvalidPrivateFieldResolution', 'IllegalBreakContinue'];

// What is no part of the program, or only of how it was written.
const IGNORED = new Set(['type', 'start', 'end', 'loc', 'extra', 'errors', 'shorthand']);
const COMMENTS = /^((leading|trailing|inner)C|c)omments$/;
// What the compiler leaves out of a script.
const ERASED = new Set(
  ['typeAnnotation', 'typeParameters', 'typeArguments', 'returnType', 'superTypeParameters']
    .concat(['implements', 'accessibility', 'readonly', 'declare', 'override', 'abstract'])
    .concat(['definite', 'importKind', 'exportKind']),
);
const WRAPPERS = new Set(
  ['TSNonNullExpression', 'TSAsExpression', 'TSSatisfiesExpression', 'TSTypeAssertion'].concat(
    'TSInstantiationExpression',
  ),
);

/** The top level of a source. Throws if it does not parse. */
export function parseSource(text: string): readonly Node[] {
  // AssemblyScript decorates functions, which TypeScript does not know.
  const plain = text.replace(/^@\w+/gm, (decorator) => ' '.repeat(decorator.length));
  return programOf(plain);
}

/** A snippet of a source: an expression if it can be one, else statements. Throws if it is none. */
export function parseSnippet(text: string): Snippet {
  let expression: Node | undefined;
  try {
    const parsed = parseExpression(text.replace(/;\s*$/, ''), OPTIONS);
    if (isFine(parsed.errors)) expression = parsed as unknown as Node;
  } catch {
    // Statements, then.
  }
  if (expression !== undefined) return { text, statements: [expression], expression };
  const statements = programOf(text).filter(({ type }) => type !== 'EmptyStatement');
  return { text, statements, expression };
}

function isFine(errors: readonly { reasonCode: string }[] | null | undefined): boolean {
  return (errors ?? []).every(({ reasonCode }) => FROM_OUTSIDE.includes(reasonCode));
}

function programOf(text: string): readonly Node[] {
  const { program, errors } = parse(text, OPTIONS);
  if (!isFine(errors)) throw errors![0];
  const directives = program.directives as unknown as Node[];
  return [...directives, ...(program.body as unknown as Node[])];
}

function isNode(value: unknown): value is Node {
  return typeof (value as Node | null)?.type === 'string';
}

/** The members of a source by name; a getter and its setter, and overloads, are one. */
export function membersOf(program: readonly Node[]): Map<string, Node[]> {
  const members = new Map<string, Node[]>();
  const add = (name: string, node: Node) => {
    const known = members.get(name);
    if (known === undefined) members.set(name, [node]);
    else known.push(node);
  };
  for (const statement of program) {
    const node = (statement.declaration as Node | null | undefined) ?? statement;
    if (node.type === 'VariableDeclaration')
      for (const { id } of node.declarations as { id: { name?: string } }[])
        add(id.name ?? '', node);
    else if (node.type === 'ClassDeclaration')
      for (const part of (node.body as { body: Node[] }).body)
        add(`${nameOf(node.id)}.${nameOf(part.key)}`, part);
    else if (node.type === 'FunctionDeclaration') add(nameOf(node.id), node);
  }
  return members;
}

// Of a key without any, a block of a class: static.
function nameOf(key: unknown): string {
  const { type, name, value, id } = (key ?? { name: 'static' }) as Record<string, unknown>;
  if (type === 'PrivateName') return `#${(id as { name: string }).name}`;
  return String(name ?? value ?? 'computed');
}

// Shapes by number, and the shapes of nodes, without types and with them.
const numbers = new Map<string, number>();
const shapes = [new WeakMap<Node, number>(), new WeakMap<Node, number>()] as const;

/** What a node is to the compiler: a number that equal nodes share. `typed`: types count. */
export function shapeOf(node: Node, typed: boolean): number {
  const known = shapes[typed ? 1 : 0].get(node);
  if (known !== undefined) return known;
  const shape =
    !typed && WRAPPERS.has(node.type)
      ? shapeOf(node.expression as Node, typed)
      : numberOf(describe(node, typed));
  shapes[typed ? 1 : 0].set(node, shape);
  return shape;
}

function numberOf(description: string): number {
  const known = numbers.get(description);
  if (known === undefined) numbers.set(description, numbers.size);
  return known ?? numbers.size - 1;
}

function describe(node: Node, typed: boolean): string {
  const parts = [node.type];
  for (const [key, value] of Object.entries(node)) {
    if (IGNORED.has(key) || COMMENTS.test(key) || value === null || value === undefined) continue;
    if (!typed && (ERASED.has(key) || (key === 'optional' && node.type === 'Identifier'))) continue;
    if (isNode(value)) parts.push(`${key}:${shapeOf(value, typed)}`);
    else if (Array.isArray(value)) parts.push(`${key}:[${shapesOf(value, typed)}]`);
    else parts.push(`${key}:${JSON.stringify(value)}`);
  }
  return parts.join(' ');
}

function shapesOf(list: readonly unknown[], typed: boolean): string {
  const there = list.filter((each) => !isNode(each) || each.type !== 'EmptyStatement');
  return there.map((each) => (isNode(each) ? shapeOf(each, typed) : String(each))).join(' ');
}

/** What a node consists of, but for the names of properties, which stand for nothing else. */
export function* partsOf(node: Node, typed: boolean): Generator<[key: string, Node | Node[]]> {
  for (const [key, value] of Object.entries(node)) {
    if (IGNORED.has(key) || COMMENTS.test(key) || (!typed && ERASED.has(key))) continue;
    if ((key === 'key' || key === 'property') && node.computed !== true) continue;
    if (isNode(value)) yield [key, value];
    else if (Array.isArray(value)) yield [key, value.filter(isNode)];
  }
}

/** Where a snippet could stand in a member, of which `isWanted` says which. */
export function placesIn(
  roots: readonly Node[],
  { statements, expression }: Snippet,
  typed: boolean,
  isWanted: (nodes: readonly Node[]) => boolean,
): Place[] {
  const found: Place[] = [];
  const add = (nodes: readonly Node[], within: Place['within']) => {
    if (!isWanted(nodes)) return false;
    found.push({ start: nodes[0]!.start, end: nodes.at(-1)!.end, within });
    return true;
  };
  const list = (nodes: readonly Node[]) => {
    for (let at = 0; at + statements.length <= nodes.length; at++)
      add(nodes.slice(at, at + statements.length), 'list');
  };
  const visit = (node: Node, inList: boolean) => {
    if (expression === undefined) {
      if (!inList && statements.length === 1 && isStatement(node)) add([node], 'statement');
    } else if (node.type === 'ExpressionStatement') {
      const inner = node.expression as Node;
      if (isWanted([inner])) {
        found.push({ start: node.start, end: node.end, within: inList ? 'list' : 'statement' });
        return;
      }
    } else if (isExpression(node) && add([node], 'expression')) {
      // `a!` is `a` as well, and no place of its own.
      if (!typed && WRAPPERS.has(node.type)) return;
    }
    for (const [key, part] of partsOf(node, typed)) {
      if (!Array.isArray(part)) {
        visit(part, false);
        continue;
      }
      const isList = key === 'body' || key === 'consequent';
      if (isList && expression === undefined) list(part);
      for (const each of part) visit(each, isList);
    }
  };
  if (expression === undefined) for (const root of roots) add([root], 'list');
  for (const root of roots) visit(root, true);
  return found;
}

function isStatement({ type }: Node): boolean {
  return type.endsWith('Statement') || type === 'VariableDeclaration';
}

function isExpression({ type }: Node): boolean {
  return /(Expression|Literal)$/.test(type) || ['Identifier', 'Super'].includes(type);
}
