// Ports for servers that a benchmark or a test starts on this machine, and may start again.

import net from 'node:net';

// Below those that systems give to whoever connects: a program that comes again finds its own free.
const PORT_LEAST = 10_000;
// What was found free is taken a little later. So each process has a share of its own, as several
// run beside each other, and gives each port of it once before any comes again.
const SHARE = 200;
const SHARES = 100;
const FIRST = PORT_LEAST + (process.pid % SHARES) * SHARE;
let given = 0;

/** Ports of loopback that were free a moment ago, all different; at most 200. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + (given++ % SHARE);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  const server = net.createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
