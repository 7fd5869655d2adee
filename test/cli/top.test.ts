// The verb `top` on a terminal: it draws anew by itself, with the window, and on through a broker
// that restarts; its keys and signals end it at once, with 0, and leave the terminal as it was.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { hasPython } from '../clients/python.ts';
import { type BrokerProcess, RawPeer, startBroker, temporaryFolder } from '../support/broker.ts';
import { batchOf } from '../support/client.ts';
import { MAIN, plainEnvironment } from '../support/process.ts';
import { type Left, Terminal } from '../support/terminal.ts';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const BUCKETS = 40;

/** Several hours: whoever waits for the next frame waits for ever. */
const SELDOM = ['--interval', '9h'];

const skip = hasPython ? false : 'python3 makes the terminal';

describe('top', { skip, timeout: 120_000 }, () => {
  let broker: BrokerProcess;
  before(async () => {
    broker = await startBroker({ dataDir: temporaryFolder(), dashboard: true });
    const producer = await RawPeer.connect(broker.intake);
    for (let bucket = 1; bucket <= BUCKETS; bucket++)
      producer.send(batchOf(BigInt(bucket), [Buffer.from('x')]));
    await producer.take(BUCKETS);
    producer.destroy();
  });
  after(() => broker.stop());

  const top = (...flags: string[]) => {
    const command = [process.execPath, MAIN, 'top', '--data-dir', broker.dataDir, ...flags];
    return new Terminal(command, plainEnvironment({ TERM: 'xterm' }));
  };

  const frames = (drawn: string) => drawn.split(HOME).slice(1);
  const linesOf = (frame: string) => frame.split('\n').length - 1;

  /** It ended as it should: screen, cursor and modes are back, and nothing follows. */
  const assertLeft = ({ code, same, drawn }: Left) => {
    assert.equal(code, 0, drawn);
    assert.ok(drawn.startsWith(ENTER) && drawn.endsWith(LEAVE), JSON.stringify(drawn.slice(-80)));
    assert.equal(drawn.indexOf(LEAVE), drawn.length - LEAVE.length, 'left once, at the end');
    assert.ok(same, 'the terminal is not in the modes that it was in');
  };

  for (const [name, keys] of [
    ['q', 'q'],
    ['Q', 'Q'],
    ['Ctrl-C', '\x03'],
    ['keys that come together', 'xq'],
  ] as const)
    test(`${name} ends it at once`, async () => {
      await using terminal = top(...SELDOM);
      await terminal.shows(/ThrustMQ \d.*ready +40 /s);
      terminal.press(keys);
      assertLeft(await terminal.left());
    });

  test('q before the first frame ends it after that', async () => {
    await using terminal = top(...SELDOM);
    await terminal.shows(/\x1b\[\?1049h/);
    terminal.press('q');
    assertLeft(await terminal.left());
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    test(`${signal} ends it at once`, async () => {
      await using terminal = top(...SELDOM);
      await terminal.shows(/ThrustMQ \d.*bucket/s);
      terminal.signal(constants.signals[signal]);
      assertLeft(await terminal.left());
    });

  test('other keys do nothing, and frames come by themselves', async () => {
    await using terminal = top('--interval', '100ms');
    await terminal.shows(/ThrustMQ/);
    terminal.press('abc\x1b[A');
    const seen = frames(terminal.drawn).length;
    await terminal.shows(new RegExp(`(\\x1b\\[H.*){${seen + 3}}`, 's'));
    terminal.press('q');
    assertLeft(await terminal.left());
  });

  test('a frame is never longer than the window, which may change', async () => {
    await using terminal = top(...SELDOM);
    await terminal.shows(/ThrustMQ.*\x1b\[J/s);
    terminal.resize(16, 100);
    await terminal.shows(/ThrustMQ.*ThrustMQ.*\x1b\[J/s);
    terminal.press('q');
    const left = await terminal.left();
    assertLeft(left);
    const [first, second] = frames(left.drawn).map(linesOf);
    assert.ok(first! > 20 && first! < 30, `${first} lines of 30`);
    assert.ok(second! > 8 && second! < 16, `${second} lines of 16`);
  });

  test('a broker that is gone is said in its place, and found again', async () => {
    const dataDir = temporaryFolder();
    await using first = await startBroker({ dataDir, dashboard: true });
    const command = [process.execPath, MAIN, 'top', '--data-dir', dataDir, '--interval', '100ms'];
    await using terminal = new Terminal(command, plainEnvironment({ TERM: 'xterm' }));
    await terminal.shows(/ThrustMQ/);
    await first.stop();
    await terminal.shows(/ThrustMQ.*\x1b\[H[^T].*\x1b\[J/s);
    const flags = ['--dashboard-port', String(first.dashboard)];
    await using again = await startBroker({ dataDir, dashboard: true, flags });
    await terminal.shows(/ThrustMQ.*\x1b\[H[^T].*ThrustMQ/s);
    terminal.press('q');
    assertLeft(await terminal.left());
    await again.stop();
  });
});
