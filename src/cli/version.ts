// Which version this is. Reads the package file beside the build; nothing else knows the number.

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { emit } from './output.ts';

/** The version in package.json, also from an installed package. */
export function readVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** Adds `version`. */
export function registerVersion(program: Command): void {
  program
    .command('version')
    .description('print the version')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const facts = {
        version: readVersion(),
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
      };
      await emit(
        options.json
          ? `${JSON.stringify(facts)}\n`
          : `thrustmq ${facts.version} (Node.js ${facts.node}, ${facts.platform})\n`,
      );
    });
}
