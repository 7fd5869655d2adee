// Keeps a foreign server for as long as somebody wants it: runs its programs on a folder of its
// own, each in a session of its own, and ends them and removes the folder when told to stop or when
// whoever asked for it is gone, however that happened. A program of its own: `node
// build/bench/peers/keep.js SPEC`, SPEC a KeepSpec in JSON.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onLeave, say } from '../process.ts';

export interface KeepSpec {
  /** Made here and removed at the end, with everything in it. */
  folder: string;
  /** Written into it before anything starts. */
  files: Record<string, string>;
  /** Started in this order; `env` is the whole environment. */
  programs: { file: string; args: string[]; env: Record<string, string> }[];
  /** The server is there when this port of loopback accepts a connection. */
  port: number;
  withinMs: number;
}

const OUTPUT_KEPT = 2000;
const LOOK_MS = 20;

const spec = JSON.parse(process.argv[2] ?? '{}') as KeepSpec;
const running: ChildProcess[] = [];
let output = '';
let leaving = false;

/** Nothing of its data is wanted any more, so nobody is asked to stop in order. */
async function leave(code: number): Promise<void> {
  if (leaving) return;
  leaving = true;
  for (const { pid } of running) {
    try {
      process.kill(-pid!, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  while (running.some(alive)) await sleep(LOOK_MS);
  rmSync(spec.folder, { recursive: true, force: true, maxRetries: 10 });
  process.exit(code);
}

function alive(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function start({ file, args, env }: KeepSpec['programs'][number]): void {
  const child = spawn(file, args, {
    cwd: spec.folder,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const keep = (text: string): void => {
    output = (output + text).slice(-OUTPUT_KEPT);
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  child.once('error', (error) => fail(`${file} does not start: ${error.message}`));
  child.once('exit', (code, signal) => fail(`${file} ended with ${signal ?? code}: ${output}`));
  running.push(child);
}

function fail(why: string): void {
  if (leaving) return;
  say('failed', { why });
  void leave(1);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => socket.destroy()).once('error', () => {});
    socket.once('close', (failed) => resolve(!failed));
  });
}

// Nobody may be there to listen any more; that must not keep it from cleaning up.
process.stdout.on('error', () => {});
onLeave(() => void leave(0));
mkdirSync(spec.folder, { recursive: true });
for (const [name, text] of Object.entries(spec.files)) {
  const file = join(spec.folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
for (const program of spec.programs) start(program);
const until = performance.now() + spec.withinMs;
let there = false;
while (!leaving && !there && performance.now() < until) {
  there = await accepts(spec.port);
  if (!there) await sleep(LOOK_MS);
}
if (there) say('ready', { sessions: running.map(({ pid }) => pid) });
else fail(`nothing listens on port ${spec.port} after ${spec.withinMs} ms: ${output}`);
