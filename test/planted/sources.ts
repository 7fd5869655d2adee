// The sources that mutants change, each read and parsed once.

import fs from 'node:fs';
import path from 'node:path';
import {
  membersOf,
  type Node,
  type Place,
  parseSource,
  placesIn,
  type Snippet,
  shapeOf,
} from './syntax.ts';
import { unboundIn } from './unbound.ts';

/** What a mutant is looked for in: the sources, each parsed once. */
export class Sources {
  readonly #texts: ReadonlyMap<string, string>;
  readonly #members = new Map<string, Map<string, Node[]>>();
  readonly #unbound = new Map<string, ReadonlySet<string>>();

  /** `texts`: sources by their names, as mutants name them. */
  constructor(texts: ReadonlyMap<string, string>) {
    this.#texts = texts;
  }

  /** The sources below `root` that can be changed: `src` but for the page, and `assembly`. */
  static below(root: string): Sources {
    const names = ['src', 'assembly'].flatMap((folder) =>
      fs
        .readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
        .map((name) => `${folder}/${name}`)
        .filter((name) => name.endsWith('.ts') && !name.startsWith('src/page/')),
    );
    const text = (name: string) => fs.readFileSync(path.join(root, name), 'utf8');
    return new Sources(new Map(names.sort().map((name) => [name, text(name)])));
  }

  get names(): readonly string[] {
    return [...this.#texts.keys()];
  }

  text(file: string): string | undefined {
    return this.#texts.get(file);
  }

  members(file: string): ReadonlyMap<string, readonly Node[]> {
    let members = this.#members.get(file);
    if (members === undefined) {
      members = membersOf(parseSource(this.#texts.get(file) ?? ''));
      this.#members.set(file, members);
    }
    return members;
  }

  /** Names that a source uses and does not bind. */
  unbound(file: string): ReadonlySet<string> {
    let unbound = this.#unbound.get(file);
    if (unbound === undefined) {
      unbound = unboundIn(parseSource(this.#texts.get(file) ?? ''));
      this.#unbound.set(file, unbound);
    }
    return unbound;
  }

  /** Where a snippet stands in a member. */
  places(file: string, member: string, snippet: Snippet): Place[] {
    const typed = isTyped(file);
    const wanted = snippet.statements.map((node) => shapeOf(node, typed));
    const isWanted = (nodes: readonly Node[]) =>
      nodes.length === wanted.length &&
      nodes.every((node, i) => shapeOf(node, typed) === wanted[i]);
    return placesIn(this.members(file).get(member) ?? [], snippet, typed, isWanted);
  }
}

/** Whether types are part of the program, as they are in AssemblyScript. */
export function isTyped(file: string): boolean {
  return file.startsWith('assembly/');
}

export function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
