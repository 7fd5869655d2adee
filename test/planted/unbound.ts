// Names that a script uses where nothing binds them: neither a declaration in a block or function
// around, nor an import, nor Node.js. The compiler says nothing of them, as it looks at no types.

import { type Node, partsOf } from './syntax.ts';

interface Scope {
  names: ReadonlySet<string>;
  around: Scope | undefined;
}

/** The names that are used somewhere below, and that nothing binds there. */
export function unboundIn(program: readonly Node[]): Set<string> {
  const unbound = new Set<string>();
  const visit = (node: Node, scope: Scope) => {
    if (isErased(node)) return;
    if (node.type === 'Identifier') {
      const name = node.name as string;
      if (!isBound(name, scope) && !(name in globalThis)) unbound.add(name);
      return;
    }
    const inner = { names: new Set(boundBy(node)), around: scope };
    for (const [key, part] of partsOf(node, false)) {
      if (key === 'label') continue;
      for (const each of Array.isArray(part) ? part : [part]) visit(each, inner);
    }
  };
  const top = { names: new Set(program.flatMap(declaredBy)), around: undefined };
  for (const statement of program) visit(statement, top);
  return unbound;
}

function isBound(name: string, scope: Scope | undefined): boolean {
  return scope !== undefined && (scope.names.has(name) || isBound(name, scope.around));
}

// Types are nothing to look into, unless they are given to an expression; nor is what only names
// what other files have, or this one for others.
function isErased({ type, expression, declaration }: Node): boolean {
  if (type === 'ExportNamedDeclaration') return declaration === null;
  if (['ImportDeclaration', 'ExportAllDeclaration', 'MetaProperty'].includes(type)) return true;
  return type.startsWith('TS') && expression === undefined;
}

// What a node binds for all that is within it.
function boundBy(node: Node): string[] {
  const { type, body, params, id, param, init, left, cases } = node as Record<string, unknown>;
  if (type === 'BlockStatement' || type === 'StaticBlock')
    return (body as Node[]).flatMap(declaredBy);
  if (type === 'SwitchStatement')
    return (cases as Node[]).flatMap(({ consequent }) =>
      (consequent as Node[]).flatMap(declaredBy),
    );
  if (type === 'CatchClause') return namesIn(param);
  if (/^For(In|Of)?Statement$/.test(node.type)) return declaredBy((init ?? left) as Node | null);
  if (/Function|Method/.test(node.type))
    return ['arguments', ...namesIn(id), ...((params ?? []) as Node[]).flatMap(namesIn)];
  return /^Class(Declaration|Expression)$/.test(node.type) ? namesIn(id) : [];
}

// What a statement binds for those beside it.
function declaredBy(statement: Node | null | undefined): string[] {
  if (statement === null || statement === undefined) return [];
  const { type, declaration, declarations, specifiers, importKind, id } = statement;
  if (type.startsWith('Export')) return declaredBy(declaration as Node | null | undefined);
  if (type === 'VariableDeclaration')
    return (declarations as Node[]).flatMap((each) => namesIn(each.id));
  if (type === 'ImportDeclaration' && importKind !== 'type')
    return (specifiers as Node[])
      .filter((each) => each.importKind !== 'type')
      .flatMap(({ local }) => namesIn(local));
  return /^(Function|Class)Declaration$/.test(type) ? namesIn(id) : [];
}

// What a pattern binds.
function namesIn(pattern: unknown): string[] {
  if (pattern === null || pattern === undefined) return [];
  const node = pattern as Node;
  if (node.type === 'Identifier') return [node.name as string];
  const { left, argument, elements, properties, value } = node;
  const parts = (elements ?? properties ?? [left ?? argument ?? value]) as unknown[];
  return parts.flatMap(namesIn);
}
