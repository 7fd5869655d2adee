// People who look at a dashboard: ten pages that are open, and one program that asks for /metrics
// each second. A page does what src/page does: loads its files, opens the WebSocket, follows the
// largest buckets, asks for the last minutes, and reads what is pushed. A program of its own:
// `node build/bench/viewers.js PORT`. Says `looking` when each has been answered once, `answers` at
// the end, and ends badly if the dashboard answers with anything but 200 or closes a page.

import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { onLeave, say } from './process.ts';

const PAGES = 10;
const METRICS_MS = 1000;
const FILES = ['/', '/page.js', '/page.css', '/page.svg'];
const HISTORY = '/api/v1/history?seconds=900';
const LIVE = '/api/v1/live';
const PROTOCOL = 'thrustmq';
const FOLLOWS = { subscribe: { buckets: { sort: 'backlog', limit: 20 } } };

const port = Number(process.argv[2]);
const origin = `http://127.0.0.1:${port}`;
let answers = 0;
let pushes = 0;

async function ask(path: string): Promise<void> {
  const response = await fetch(`${origin}${path}`, { signal: AbortSignal.timeout(10_000) });
  await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status}`);
  answers += 1;
}

/** Opens a page; settles when it shows its first numbers. */
async function look(): Promise<void> {
  for (const path of FILES) await ask(path);
  const socket = new WebSocket(`ws://127.0.0.1:${port}${LIVE}`, [PROTOCOL], { origin });
  await new Promise<void>((resolve, reject) => {
    const wanted = new Set(['overview', 'buckets']);
    socket.on('open', () => socket.send(JSON.stringify(FOLLOWS)));
    socket.on('message', (text) => {
      const { type, data } = JSON.parse(String(text)) as { type: string; data: object };
      if (type === 'problem') throw new Error(`a page was told ${JSON.stringify(data)}`);
      pushes += 1;
      wanted.delete(type);
      if (wanted.size === 0) resolve();
    });
    socket.on('error', reject);
    socket.on('close', (code) => {
      throw new Error(`a page was closed: ${code}`);
    });
  });
  await ask(HISTORY);
}

onLeave(() => {
  say('answers', { answers, pushes, pages: PAGES });
  process.exit(0);
});
await Promise.all([...Array.from({ length: PAGES }, look), ask('/metrics')]);
say('looking');
for (;;) {
  await sleep(METRICS_MS);
  await ask('/metrics');
}
