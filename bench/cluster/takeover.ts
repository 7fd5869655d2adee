// How long producers wait when the owner is lost: from its SIGKILL until one of its fellows answers
// the next message with 1. The producer knows all nodes and tries them in turn.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeBatch } from '../../src/codec/wire.ts';
import type { ClusterNodes } from './servers.ts';

const BUCKET = 5n;
const ROUND_MS = 10;

/** Publishes a message to the node on this port, and waits as long as it; whether it is stored. */
export function publishOne(port: number, text: string): Promise<boolean> {
  const batch = encodeBatch([{ bucket: BUCKET, body: Buffer.from(text) }], 'u64');
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    let isStored = false;
    socket.once('connect', () => socket.write(batch));
    socket.once('data', ([byte]) => {
      isStored = byte === 1;
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve(isStored));
  });
}

/** Publishes until it is stored, on the ports in turn; gives the one that took it. */
export async function publishAnywhere(ports: readonly number[], text: string): Promise<number> {
  for (;;) {
    for (const port of ports) if (await publishOne(port, text)) return port;
    await sleep(ROUND_MS);
  }
}

/** Kills the owner, and starts it again once another one has answered; ms until that. */
export async function takeOver(nodes: ClusterNodes): Promise<number> {
  const { node } = await nodes.owner();
  const ports = nodes.intakes.filter((_, i) => i !== node);
  await publishAnywhere(ports, 'before');
  let tookMs = 0;
  const begun = performance.now();
  await nodes.crash(node, async () => {
    await publishAnywhere(ports, 'after');
    tookMs = performance.now() - begun;
  });
  return tookMs;
}
