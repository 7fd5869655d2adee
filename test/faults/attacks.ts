// Attackers for the pressure measurement. As a program it runs one of them until it is killed, and
// says so in one line when it has begun: node build/test/faults/attacks.js NAME INTAKE EXHAUST

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { encodeBatch, encodeConsumerHeader } from '../../src/codec/wire.ts';
import { RawPeer } from '../support/broker.ts';
import { batchOf } from '../support/client.ts';

const MIB = 1024 * 1024;
// Many kernels interrupt no system call for another process. A longer piece would keep a processor
// from the broker for milliseconds, as no sender on another machine could.
const PIECE_BYTES = 32 * 1024;

interface Ports {
  intake: number;
  exhaust: number;
}

/** Calls `act` with i = 0 … count - 1 side by side, each again and again; failures are part of it. */
function crowd(count: number, act: (i: number) => Promise<void>): void {
  for (let i = 0; i < count; i++) {
    void (async () => {
      for (;;) {
        await act(i).catch(() => {});
        await sleep(0);
      }
    })();
  }
}

/** A batch of one message of `bytes` bytes, of which only a part is sent. */
function begun(bytes: number, sent: number): Uint8Array {
  const head = new DataView(new ArrayBuffer(20));
  head.setUint32(0, 1, true);
  head.setUint32(12, bytes, true);
  return Buffer.concat([new Uint8Array(head.buffer), Buffer.alloc(sent, 1)]);
}

/** Sends everything, one piece after the other. */
async function sendInPieces({ socket }: RawPeer, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    await new Promise<void>((resolve, reject) => {
      socket.write(piece, (error) => (error ? reject(error) : resolve()));
    });
  }
}

export const ATTACKS = {
  'connect flood': ({ intake, exhaust }: Ports) =>
    crowd(64, async (i) => {
      const peer = await RawPeer.connect(i % 2 === 0 ? intake : exhaust);
      peer.socket.resetAndDestroy();
      await peer.closed;
    }),
  'open and hold': ({ intake, exhaust }: Ports) =>
    crowd(4000, async (i) => {
      const peer = await RawPeer.connect(i % 2 === 0 ? intake : exhaust);
      await peer.closed;
    }),
  'slow senders': ({ intake }: Ports) =>
    crowd(500, async () => {
      const peer = await RawPeer.connect(intake);
      await sendInPieces(peer, begun(MIB, 256 * 1024));
      for (let ended = false; !ended; ) {
        peer.send(Uint8Array.of(1));
        ended = await Promise.race([peer.closed.then(() => true), sleep(50, false)]);
      }
    }),
  'never-reading consumers': ({ intake, exhaust }: Ports) => {
    const batch = (i: number) => batchOf(BigInt(7 + i), Array(64).fill(Buffer.alloc(64 * 1024, 3)));
    crowd(2, async (i) => {
      const peer = await RawPeer.connect(intake);
      for (;;) {
        await sendInPieces(peer, batch(i));
        await peer.take(64);
        await sleep(200);
      }
    });
    crowd(200, async (i) => {
      const peer = await RawPeer.connect(exhaust);
      peer.socket.pause();
      const bucket = BigInt(7 + (i % 2));
      peer.send(encodeConsumerHeader({ consumerId: 1n, bucket, batchSize: 65_536 }));
      await peer.closed;
    });
  },
  'random buckets': ({ intake }: Ports) =>
    crowd(4, async () => {
      const peer = await RawPeer.connect(intake);
      for (;;) {
        const messages = Array.from({ length: 1000 }, () => ({
          bucket: BigInt(Math.floor(Math.random() * 2 ** 52)),
          body: Buffer.from('x'),
        }));
        peer.send(encodeBatch(messages, 'u64'));
        await peer.take(1000);
      }
    }),
  'giant batches': ({ intake }: Ports) => {
    const batch = batchOf(9n, Array(32).fill(Buffer.alloc(MIB, 5)));
    crowd(4, async () => {
      const peer = await RawPeer.connect(intake);
      for (;;) {
        await sendInPieces(peer, batch);
        await peer.take(32);
      }
    });
  },
};

export type Attack = keyof typeof ATTACKS;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, intake, exhaust] = process.argv.slice(2);
  ATTACKS[name as Attack]({ intake: Number(intake), exhaust: Number(exhaust) });
  await sleep(300);
  console.log('begun');
}
