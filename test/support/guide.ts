// Documents that show how something is done, run as they are written: their settings are those of a
// broker, and each command and program says what stands below it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runPython } from '../clients/python.ts';
import { type BrokerProcess, MAIN, startBroker, temporaryFolder } from './broker.ts';

export interface Block {
  /** `toml`, `console`, `python`, `text`, … */
  readonly kind: string;
  readonly text: string;
}

/** A document of docs/, with its fenced blocks in their order. */
export function readGuide(name: string): { text: string; blocks: Block[] } {
  const file = fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));
  const text = fs.readFileSync(file, 'utf8');
  const found = text.matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return { text, blocks: [...found].map(([, kind, body]) => ({ kind: kind!, text: body! })) };
}

/** A configuration file with this text. */
export function configFile(text: string): string {
  const file = path.join(temporaryFolder(), 'rules.toml');
  fs.writeFileSync(file, text);
  return file;
}

/** A broker with the settings that the blocks show. */
export function guideBroker(blocks: readonly Block[]): Promise<BrokerProcess> {
  const settings = blocks.filter(({ kind }) => kind === 'toml').map(({ text }) => text);
  const flags = ['--config', configFile(settings.join('\n'))];
  return startBroker({ dataDir: temporaryFolder(), dashboard: true, flags });
}

/** What a command prints that the shell runs, in which `thrustmq` is the one of this broker. */
export function runShell({ dataDir }: BrokerProcess, command: string): string {
  const script = `thrustmq() { "${process.execPath}" "${MAIN}" "$@" --data-dir "${dataDir}"; }\n`;
  const env = { ...process.env, NO_COLOR: '1' };
  const { stdout, stderr, status } = spawnSync('sh', ['-c', script + command], { env });
  assert.ok(status === 0 || status === 1, `${command}: ${status} ${stderr}`);
  return `${stdout}`;
}

// How long something took is another time each time.
const plain = (text: string) => text.replaceAll(/"ms":\d+/g, '"ms":0').split('\n');

/** Runs each command of a `console` block. */
export function assertConsole(broker: BrokerProcess, example: string): void {
  for (const part of example.split(/^\$ /m).slice(1)) {
    const [command, ...expected] = part.split('\n');
    const output = runShell(broker, command!);
    assert.deepEqual(plain(output), plain(expected.join('\n')), command);
  }
}

/** Runs a program that uses clients/python with its default ports, which are this broker's here. */
export async function assertPython(
  { intake, exhaust }: BrokerProcess,
  program: string,
  expected: string,
): Promise<void> {
  const ports = `import producer, consumer
producer.Producer.__init__.__defaults__ = ("127.0.0.1", ${intake}, "u64", 30.0)
consumer.Consumer.__init__.__defaults__ = ("127.0.0.1", ${exhaust}, 1, 100, "u64", 10.0)
`;
  const { code, stdout, stderr } = await runPython(['-c', ports + program]).ended;
  assert.equal(code, 0, `${program}\n${stderr}`);
  assert.equal(stdout, expected, program);
}
