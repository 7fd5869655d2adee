// People who look at a dashboard: ten who read its page each second and one program that asks
// for /dash four times a second. A program of its own: `node build/bench/viewers.js PORT`. Says
// `looking` when each has been answered once, `answers` at the end, and ends badly if the dashboard
// does not answer with 200.

import { setTimeout as sleep } from 'node:timers/promises';
import { onLeave, say } from './process.ts';

const PAGES = 10;
const PAGE_MS = 1000;
const POLL_MS = 250;

const port = Number(process.argv[2]);
let answers = 0;

async function ask(path: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    signal: AbortSignal.timeout(10_000),
  });
  await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status}`);
  answers += 1;
}

async function again(path: string, everyMs: number): Promise<never> {
  for (;;) {
    await sleep(everyMs);
    await ask(path);
  }
}

onLeave(() => {
  say('answers', { answers });
  process.exit(0);
});
const paths = [...Array.from({ length: PAGES }, () => '/'), '/dash'];
await Promise.all(paths.map(ask));
say('looking');
await Promise.all(paths.map((path) => again(path, path === '/' ? PAGE_MS : POLL_MS)));
