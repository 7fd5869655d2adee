// Reads golden files: Markdown with one case under each `##` heading, its data in fenced blocks
// named by what they hold. Prose between them is for people.

import { readdirSync, readFileSync } from 'node:fs';

export interface GoldenCase {
  file: string;
  title: string;
  /** Text of each block by its name. A block that is not there is undefined. */
  blocks: ReadonlyMap<string, string>;
}

/** Cases of every Markdown file in a folder, in order. Throws where a file cannot be meant so. */
export function readGolden(folder: URL): GoldenCase[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.md'));
  return files.sort().flatMap((file) => parse(file, readFileSync(new URL(file, folder), 'utf8')));
}

function parse(file: string, text: string): GoldenCase[] {
  const sections = text.split(/^## /m).slice(1);
  return sections.map((section) => {
    const title = section.slice(0, section.indexOf('\n'));
    const blocks = new Map<string, string>();
    for (const [, name, body] of section.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
      if (blocks.has(name!)) throw new Error(`${file}: "${title}" has two blocks ${name}`);
      blocks.set(name!, body!);
    }
    if (blocks.size === 0) throw new Error(`${file}: "${title}" holds nothing`);
    return { file, title, blocks };
  });
}

/** Lines of a block without comments (`#` to the end of the line) and without empty ones. */
export function linesOf(block: string | undefined): string[] {
  const lines = (block ?? '').split('\n').map((line) => line.replace(/#.*$/, '').trim());
  return lines.filter((line) => line !== '');
}

/** Bytes of a block of hex, in groups of any size. `xx*N` repeats a byte N times. */
export function hexOf(block: string | undefined): Uint8Array {
  const bytes: number[] = [];
  for (const group of linesOf(block).join(' ').split(/\s+/)) {
    const repeated = /^([0-9a-f]{2})\*(\d+)$/.exec(group);
    if (repeated !== null) {
      for (let i = 0; i < Number(repeated[2]); i++) bytes.push(Number.parseInt(repeated[1]!, 16));
      continue;
    }
    if (!/^([0-9a-f]{2})*$/.test(group)) throw new Error(`not hex: ${group}`);
    for (let i = 0; i < group.length; i += 2)
      bytes.push(Number.parseInt(group.slice(i, i + 2), 16));
  }
  return Uint8Array.from(bytes);
}

/** `key=value` words of a block. */
export function settingsOf(block: string | undefined): Map<string, string> {
  const words = linesOf(block).flatMap((line) => line.split(/\s+/));
  return new Map(words.map((word) => word.split('=', 2) as [string, string]));
}
