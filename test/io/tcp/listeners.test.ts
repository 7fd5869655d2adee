// Connections over loopback: what one costs before its peer has said anything, how it begins and
// ends, and that no byte is lost or out of place; as bare handles, and as the sockets Node makes.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import type { CloseReason } from '../../../src/contract/close-reasons.ts';
import type { Session } from '../../../src/core/connections/session.ts';
import type { Link } from '../../../src/core/ports/link.ts';
import { Overdue } from '../../../src/core/timing/overdue.ts';
import { SocketLink } from '../../../src/io/tcp/link.ts';
import { Listeners } from '../../../src/io/tcp/listeners.ts';
import type { RawHandle } from '../../../src/io/tcp/raw-handle.ts';
import { giveUp, isSilent } from '../../../src/io/tcp/silence.ts';
import { RawPeer } from '../../support/broker.ts';

const FRAME = Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, 42]);
const BIG = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i % 251));

const NOWHERE = {
  host: '127.0.0.1',
  port: 0,
  wire: 8,
  accept: () => undefined,
  readInto: new Uint8Array(150_000).fill(7),
};

/** A session that notes what happens to it. */
class Noted extends EventEmitter implements Session {
  readonly link: SocketLink;
  received = Buffer.alloc(0);
  finishes = 0;
  gones = 0;
  heardMs = 0;
  closedFor: CloseReason = 'peer';
  onChunk = () => {};

  constructor(link: SocketLink) {
    super();
    this.link = link;
  }

  receive(chunk: Uint8Array): void {
    this.received = Buffer.concat([this.received, chunk]);
    this.onChunk();
    this.emit('chunk');
  }

  finished(): void {
    this.finishes++;
    this.link.end();
  }

  drained(): void {}

  gone(): void {
    this.gones++;
    this.emit('gone');
  }

  async has(bytes: Uint8Array): Promise<void> {
    while (this.received.length < bytes.length) await once(this, 'chunk');
    assert.ok(this.received.equals(bytes), 'other bytes than were sent');
  }

  /** It is gone, once; and nothing of it is left. */
  async isGone(place: Place): Promise<void> {
    if (this.gones === 0) await once(this, 'gone');
    await place.settled();
    assert.equal(this.gones, 1);
    assert.equal(this.closedFor, 'peer');
    assert.ok(this.link.destroyed);
    assert.ok(!place.listeners.links.has(this.link));
  }
}

class Place {
  readonly listeners = new Listeners();
  readonly door = new EventEmitter();
  port = 0;
  refuses = false;

  async listen(): Promise<void> {
    const accept = (link: Link) => {
      if (this.refuses) {
        link.destroy();
        return undefined;
      }
      const session = new Noted(link as SocketLink);
      this.door.emit('open', session);
      return session;
    };
    const address = await this.listeners.listen({ ...NOWHERE, accept });
    this.port = address.port;
  }

  /** A connection from both sides. */
  async connect(): Promise<{ peer: RawPeer; session: Noted; link: SocketLink }> {
    const opened = once(this.door, 'open') as Promise<[Noted]>;
    const peer = await RawPeer.connect(this.port);
    const [session] = await opened;
    return { peer, session, link: session.link };
  }

  /** Once this is over, what was sent before on other connections has arrived, if it ever does. */
  async settled(): Promise<void> {
    const { peer, session } = await this.connect();
    peer.send(FRAME);
    await session.has(FRAME);
    peer.destroy();
    await once(session, 'gone');
  }
}

/** A handle without a connection, which behaves as Node's do. */
class Handle implements RawHandle {
  runs = false;
  closes = 0;
  bytesRead = 0;
  startFails = 0;
  peerFails = 0;
  onread = () => {};
  readonly link = new SocketLink(
    { localPort: 1, remoteAddress: '127.0.0.1', remotePort: 2 },
    { ...NOWHERE, links: new Set() },
  );
  readonly session = new Noted(this.link);

  useUserBuffer(): void {}

  getpeername(): number {
    return this.peerFails;
  }

  setKeepAlive(): number {
    return 0;
  }

  readStart(): number {
    if (this.runs) return -114;
    this.runs = this.startFails === 0;
    return this.startFails;
  }

  readStop(): number {
    this.runs = false;
    return 0;
  }

  close(closed?: () => void): void {
    this.closes++;
    this.runs = false;
    if (closed !== undefined) setImmediate(closed);
  }

  reads(bytes: number): void {
    this.bytesRead += bytes;
    this.onread();
  }
}

function ended(peer: RawPeer): Promise<unknown> {
  return once(peer.socket, 'end');
}

const bare = new Place();
const usual = new Place();
const PLACES = [
  ['a bare handle', bare],
  ["Node's socket", usual],
] as const;

before(async () => {
  await bare.listen();
  // What is done where handles cannot be used.
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
  Object.defineProperty(process, 'platform', { ...platform, value: 'win32' });
  await usual.listen();
  Object.defineProperty(process, 'platform', platform);
});

after(() => {
  for (const [, { listeners }] of PLACES) {
    listeners.stop();
    listeners.destroyAll();
  }
});

const onWindows = { skip: process.platform === 'win32' && 'bare handles are not used on Windows' };

test('a connection costs a socket when its peer has sent something', onWindows, async () => {
  const { peer, session, link } = await bare.connect();
  await bare.settled();
  assert.ok(bare.listeners.links.has(link));
  assert.equal(link.hasSocket, false);
  assert.equal(link.destroyed, false);
  assert.equal(link.queuedBytes, 0);
  peer.send(FRAME);
  await session.has(FRAME);
  assert.equal(link.hasSocket, true);
  peer.destroy();
  await session.isGone(bare);
});

test('one that says nothing never costs a socket', onWindows, async () => {
  for (const leave of [
    (socket: net.Socket) => socket.end(),
    (socket: net.Socket) => socket.resetAndDestroy(),
  ]) {
    const { peer, session, link } = await bare.connect();
    leave(peer.socket);
    await session.isGone(bare);
    assert.equal(link.hasSocket, false);
    assert.equal(session.received.length, 0);
    await peer.closed;
  }
});

test('its session decides after a small piece whether more is read', onWindows, async () => {
  const { peer, session, link } = await bare.connect();
  await bare.settled(); // the connection is read now
  session.onChunk = () => link.pause();
  peer.send(BIG);
  await once(session, 'chunk');
  await bare.settled();
  assert.ok(session.received.equals(BIG.subarray(0, 4096)));
  session.onChunk = () => {};
  link.resume();
  await session.has(BIG);
  peer.destroy();
  await session.isGone(bare);
});

test('keep-alive is on before the first byte and after it', {
  skip: !fs.existsSync('/proc/net/tcp') && 'no table of sockets',
}, async () => {
  const { peer, session } = await bare.connect();
  const hex = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  // Third column from here: the timer that runs, 02 for keep-alive.
  const ends = new RegExp(
    `${hex(bare.port)}\\w+${hex(peer.socket.localPort!)}01 \\S+ (\\w\\w):(\\w+) `,
  );
  const timer = () => ends.exec(fs.readFileSync('/proc/net/tcp', 'utf8'))!;
  assert.equal(timer()[1], '02');
  assert.ok(Number.parseInt(timer()[2]!, 16) <= 1000, 'more than 10 s');
  peer.send(FRAME);
  await session.has(FRAME);
  assert.equal(timer()[1], '02');
  peer.destroy();
  await session.isGone(bare);
});

test('first bytes that use up the turn: the next ones are read in the next turn', async () => {
  for (const [bytes, goesOn] of [
    [1000, true],
    [NOWHERE.readInto.length, false],
  ] as const) {
    await new Promise((resolve) => setImmediate(resolve));
    const handle = new Handle();
    handle.link.openBare(handle.session, handle);
    assert.ok(handle.runs);
    handle.reads(bytes);
    assert.equal(handle.runs, goesOn);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(handle.runs);
    assert.equal(handle.session.received.length, bytes);
    handle.link.destroy();
    await once(handle.session, 'gone');
  }
});

test('a read that gives nothing is no end while the handle reads and has a peer', async () => {
  const handle = new Handle();
  handle.link.openBare(handle.session, handle);
  handle.reads(0);
  assert.equal(handle.session.received.length, 0);
  assert.equal(handle.link.destroyed, false);
  assert.ok(handle.runs);
  handle.link.destroy();
  await once(handle.session, 'gone');

  for (const over of [{ runs: false }, { peerFails: -107 }]) {
    const gone = new Handle();
    gone.link.openBare(gone.session, gone);
    Object.assign(gone, over);
    gone.reads(0);
    assert.ok(gone.link.destroyed);
    assert.equal(gone.link.hasSocket, false);
    await once(gone.session, 'gone');
  }
});

test('a handle is closed once', async () => {
  const handle = new Handle();
  handle.link.openBare(handle.session, handle);
  handle.link.destroy();
  handle.link.destroy();
  handle.link.end();
  assert.equal(handle.closes, 1);
  await once(handle.session, 'gone');
});

test('a connection that cannot be read is gone', async () => {
  const handle = new Handle();
  handle.startFails = -107;
  handle.link.openBare(handle.session, handle);
  assert.ok(handle.link.destroyed);
  await once(handle.session, 'gone');
  assert.equal(handle.closes, 1);
});

for (const [what, place] of PLACES) {
  test(`${what}: who ends before the first byte is answered with the end`, async () => {
    const { peer, session } = await place.connect();
    peer.socket.end();
    await ended(peer);
    await session.isGone(place);
  });

  test(`${what}: half-open before the first byte is gone, too`, async () => {
    const socket = net.connect({ port: place.port, host: '127.0.0.1', allowHalfOpen: true });
    const [session] = (await once(place.door, 'open')) as [Noted];
    socket.end();
    socket.resume();
    await once(socket, 'end');
    await session.isGone(place);
    socket.destroy();
  });

  test(`${what}: reset before the first byte`, async () => {
    const { peer, session } = await place.connect();
    peer.socket.resetAndDestroy();
    await session.isGone(place);
    assert.equal(session.finishes, 0);
  });

  test(`${what}: destroyed before the first byte`, async () => {
    const { peer, session, link } = await place.connect();
    link.destroy();
    assert.ok(link.destroyed);
    assert.equal(session.gones, 0, 'the session went on under its own feet');
    link.destroy();
    link.end();
    link.send(FRAME);
    link.pause();
    link.resume();
    await peer.closed;
    assert.equal(peer.received.length, 0);
    await session.isGone(place);
  });

  test(`${what}: ended before the first byte`, async () => {
    const { peer, session, link } = await place.connect();
    link.end();
    link.end();
    await ended(peer);
    await session.isGone(place);
  });

  test(`${what}: paused before the first byte, then read`, async () => {
    const { peer, session, link } = await place.connect();
    link.pause();
    link.pause();
    peer.send(BIG);
    await place.settled();
    assert.equal(session.received.length, 0);
    link.resume();
    link.resume();
    await session.has(BIG);
    peer.destroy();
    await session.isGone(place);
  });

  test(`${what}: paused and resumed with nothing to read`, async () => {
    const { peer, session, link } = await place.connect();
    link.resume();
    link.pause();
    link.resume();
    await place.settled();
    assert.equal(link.destroyed, false);
    peer.send(FRAME);
    await session.has(FRAME);
    peer.destroy();
    await session.isGone(place);
  });

  test(`${what}: destroyed while paused, with bytes that nobody read`, async () => {
    const { peer, session, link } = await place.connect();
    link.pause();
    peer.send(FRAME);
    await place.settled();
    link.destroy();
    await session.isGone(place);
    await peer.closed;
    assert.equal(session.received.length, 0);
  });

  test(`${what}: paused by the first bytes, nothing more is read`, async () => {
    const { peer, session, link } = await place.connect();
    session.onChunk = () => link.pause();
    peer.send(BIG);
    await once(session, 'chunk');
    const first = session.received.length;
    await place.settled();
    assert.equal(session.received.length, first);
    session.onChunk = () => {};
    link.resume();
    await session.has(BIG);
    peer.destroy();
    await session.isGone(place);
  });

  test(`${what}: destroyed by the first bytes, nothing more is read`, async () => {
    const { peer, session, link } = await place.connect();
    let chunks = 0;
    session.onChunk = () => {
      chunks++;
      link.destroy();
    };
    peer.send(BIG);
    await session.isGone(place);
    assert.equal(chunks, 1);
    await peer.closed;
  });

  test(`${what}: bytes sent to a peer that has sent nothing arrive`, async () => {
    const { peer, session, link } = await place.connect();
    link.send(FRAME);
    link.send(BIG);
    assert.deepEqual(await peer.take(FRAME.length), FRAME);
    assert.ok((await peer.take(BIG.length)).equals(BIG));
    peer.send(BIG);
    await session.has(BIG);
    link.send(FRAME);
    link.end();
    assert.deepEqual(await peer.take(FRAME.length), FRAME);
    peer.socket.end();
    await session.isGone(place);
  });

  test(`${what}: bytes sent while it is paused leave it paused`, async () => {
    const { peer, session, link } = await place.connect();
    link.pause();
    peer.send(FRAME);
    link.send(FRAME);
    assert.deepEqual(await peer.take(FRAME.length), FRAME);
    await place.settled();
    assert.equal(session.received.length, 0);
    link.resume();
    await session.has(FRAME);
    peer.destroy();
    await session.isGone(place);
  });

  test(`${what}: a frame arrives whole wherever it is split`, async () => {
    for (let cut = 1; cut < FRAME.length; cut++) {
      const { peer, session } = await place.connect();
      peer.send(FRAME.subarray(0, cut));
      await session.has(FRAME.subarray(0, cut));
      peer.send(FRAME.subarray(cut));
      peer.socket.end(); // right behind its last bytes
      await session.has(FRAME);
      await session.isGone(place);
      assert.equal(session.finishes, 1);
    }
  });

  test(`${what}: first bytes and the end, all at once`, async () => {
    const { peer, session } = await place.connect();
    peer.socket.end(FRAME);
    await session.has(FRAME);
    await ended(peer);
    await session.isGone(place);
    assert.equal(session.finishes, 1);
  });

  test(`${what}: many that send at once are all read to the end`, async () => {
    const all = [];
    for (let i = 0; i < 8; i++) all.push(await place.connect());
    for (const { peer } of all) peer.send(BIG);
    await Promise.all(all.map(({ session }) => session.has(BIG)));
    for (const { peer, session } of all) {
      peer.destroy();
      await session.isGone(place);
    }
  });

  test(`${what}: refused`, async () => {
    const { size } = place.listeners.links;
    place.refuses = true;
    const peer = await RawPeer.connect(place.port);
    await peer.closed;
    place.refuses = false;
    await place.settled();
    assert.equal(place.listeners.links.size, size);
  });

  test(`${what}: all are ended together`, async () => {
    const all = [];
    for (let i = 0; i < 5; i++) all.push(await place.connect());
    all[0]!.peer.send(FRAME);
    await all[0]!.session.has(FRAME);
    const done = Promise.all(all.map(({ peer }) => ended(peer)));
    await place.listeners.endAll(60_000);
    await done;
    assert.equal(place.listeners.links.size, 0);
    for (const { session } of all) assert.equal(session.gones, 1);
  });
}

test('a peer that does not answer the network is closed in turn, unless it was heard by then', () => {
  const overdue = new Overdue();
  const closed: string[] = [];
  const linkOf = (peer: string) => {
    const session = { heardMs: 0, closedFor: 'peer' } as Session;
    const link = { peer, session, destroyed: false, destroy: () => void closed.push(peer) };
    assert.ok(isSilent(link, 20_000));
    giveUp(link, overdue, 20_000, () => {});
    return link;
  };
  const [dead, heard, gone] = ['dead', 'heard', 'gone'].map(linkOf);
  Object.assign(heard!.session, { heardMs: 20_025 });
  gone!.destroyed = true;
  overdue.advance(25);
  assert.deepEqual(closed, ['dead']);
  assert.equal(dead!.session.closedFor, 'unreachable');
  assert.equal(heard!.session.closedFor, 'peer');
});
