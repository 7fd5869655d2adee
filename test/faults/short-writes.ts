// Writes that move a part of their bytes only, made so by a library that is preloaded: strace can
// say that a write was short, but not make it one. The broker goes on where it stopped, whether it
// is then stopped or killed.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ledger } from '../e2e/load.ts';
import { startBroker, temporaryFolder } from '../support/broker.ts';
import { run } from '../support/machine.ts';
import { drain, publishAll, recoverTwice, SMALL } from './account.ts';
import { type FaultOptions, Tally, type Verdict } from './verdict.ts';

const BATCHES = 30;
const SOURCE = new URL('../../../test/faults/short-writes.c', import.meta.url);

function shim(): string {
  const library = path.join(temporaryFolder(), 'short-writes.so');
  run('cc', '-shared', '-fPIC', '-O1', '-o', library, fileURLToPath(SOURCE), '-ldl');
  return library;
}

export async function shortWrites(options: FaultOptions): Promise<Verdict> {
  const tally = new Tally('short write');
  const library = shim();
  let lives = 0;
  for (; lives < options.points && performance.now() < options.untilMs; lives++) {
    const dataDir = temporaryFolder();
    const counted = path.join(temporaryFolder(), 'short-writes');
    const ledger = new Ledger();
    const every = String(1 + (lives % 3));
    const env = { LD_PRELOAD: library, SHORT_EVERY: every, SHORT_COUNT: counted };
    const broker = await startBroker({ dataDir, flags: SMALL, env });
    const refused = await publishAll(broker.intake, ledger, BATCHES);
    await drain(broker, ledger, [0, 1]);
    if (lives % 2 === 0) await broker.kill();
    else if ((await broker.stop()) !== 0)
      throw new Error('the broker did not outlive short writes');
    if (refused > 0) throw new Error(`${refused} messages were refused over short writes`);
    if (!fs.existsSync(counted)) throw new Error(`no write was short in life ${lives}`);
    tally.fire(fs.statSync(counted).size);
    tally.found(await recoverTwice(dataDir, ledger));
  }
  return tally.verdict(`in ${lives} lives`);
}
