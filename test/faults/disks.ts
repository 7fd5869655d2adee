// Disks of a test's own: ext4 in an image file. Power cuts as copies of the image at one instant of
// the load, a disk that fills up, one that the system turns read-only under the broker.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from '../e2e/load.ts';
import { startBroker, temporaryFolder } from '../support/broker.ts';
import { publish } from '../support/client.ts';
import { run } from '../support/machine.ts';
import { copyOf, publishAll, recoverTwice, SMALL } from './account.ts';
import { load } from './random-kills.ts';
import { type FaultOptions, Tally, type Verdict } from './verdict.ts';

const MEGABYTES = 48;
// In memory where that is possible: a power cut is an image, and copying it must be quick.
const SHELF = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();

/** An ext4 file system in an image file, mounted at `folder`. */
class Disk {
  readonly #shelf = fs.mkdtempSync(path.join(SHELF, 'thrustmq-disk-'));
  readonly image = path.join(this.#shelf, 'image');
  readonly folder = path.join(temporaryFolder(), 'mount');

  /** Mounts a new disk, or what `image` holds; that file is left as it is. */
  constructor(image?: string) {
    fs.mkdirSync(this.folder);
    if (image === undefined) {
      fs.writeFileSync(this.image, '');
      fs.truncateSync(this.image, MEGABYTES * 1024 * 1024);
      run('mkfs.ext4', '-q', '-m', '0', this.image);
    } else {
      run('cp', '--sparse=always', image, this.image);
    }
    run('mount', '-o', 'loop', this.image, this.folder);
  }

  get device(): string {
    return path.basename(run('findmnt', '-n', '-o', 'SOURCE', this.folder).trim());
  }

  remove(): void {
    run('umount', '-l', this.folder);
    fs.rmSync(this.#shelf, { recursive: true, force: true });
  }
}

// Requests that the device has finished and has in flight, reads left out.
function writesOf(device: string): string {
  const stat = fs.readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/);
  return [4, 6, 8, 15].map((field) => stat[field] ?? '').join(' ');
}

/**
 * What the disk holds at one instant, as if power went then: a copy during which the device wrote
 * nothing. The broker is stopped for it; the system may go on writing, and then it is copied again.
 */
async function powerCut(disk: Disk): Promise<Disk> {
  for (let tries = 0; tries < 200; tries++) {
    const before = writesOf(disk.device);
    if (before.split(' ')[2] === '0') {
      const copy = path.join(path.dirname(disk.image), 'copy');
      run('cp', '--sparse=always', disk.image, copy);
      if (writesOf(disk.device) === before) {
        const cut = new Disk(copy);
        fs.rmSync(copy);
        return cut;
      }
    }
    await sleep(10);
  }
  throw new Error('the device never stopped writing');
}

/** `points` power cuts under load; each copy is recovered twice, and the load goes on. */
export async function powerCuts({ points, untilMs, random }: FaultOptions): Promise<Verdict> {
  const tally = new Tally('power cut');
  const disk = new Disk();
  const ledger = new Ledger();
  try {
    const broker = await startBroker({ dataDir: path.join(disk.folder, 'data'), flags: SMALL });
    const { pid } = await broker.line((line) => line.event === 'ready');
    await load(broker, ledger, random);
    for (let cut = 0; cut < points && performance.now() < untilMs; cut++) {
      await sleep(20 + random.below(200)); // the moment of the cut is what is random
      process.kill(pid as number, 'SIGSTOP');
      const then = copyOf(ledger);
      const copy = await powerCut(disk);
      tally.fire();
      try {
        tally.found(await recoverTwice(path.join(copy.folder, 'data'), then));
      } finally {
        copy.remove();
      }
      process.kill(pid as number, 'SIGCONT');
    }
    await broker.kill();
  } finally {
    disk.remove();
  }
  return tally.verdict(`${ledger.sent} sent, ${ledger.acked.size} acked`);
}

/** The disk fills up: refused with 0, nothing acked is lost, also by a kill while it is full. */
export async function fullDisk(): Promise<Verdict> {
  const tally = new Tally('full disk');
  const disk = new Disk();
  const ledger = new Ledger();
  try {
    const dataDir = path.join(disk.folder, 'data');
    const broker = await startBroker({ dataDir, flags: SMALL });
    const { bavail, bsize } = fs.statfsSync(disk.folder);
    const filler = path.join(disk.folder, 'filler');
    fs.writeFileSync(filler, Buffer.alloc(bavail * bsize - 512 * 1024, 1));
    while (!broker.lines.some((line) => line.event === 'log.full'))
      await publishAll(broker.intake, ledger, 1);
    let refused = 0;
    while (refused === 0) refused = await publishAll(broker.intake, ledger, 1);
    tally.fire();
    await broker.kill();
    fs.rmSync(filler);
    tally.found(await recoverTwice(dataDir, ledger));
  } finally {
    disk.remove();
  }
  return tally.verdict(`${ledger.acked.size} acked before it was full`);
}

/** The system finds an error and turns the disk read-only: no ack, exit 74, nothing lost. */
export async function readOnlyDisk(): Promise<Verdict> {
  const tally = new Tally('read-only disk');
  const disk = new Disk();
  const ledger = new Ledger();
  let late = 0;
  try {
    const dataDir = path.join(disk.folder, 'data');
    const broker = await startBroker({ dataDir, flags: SMALL });
    await publishAll(broker.intake, ledger, 20);
    run('mount', '-o', 'remount,errors=remount-ro', disk.folder);
    fs.writeFileSync(`/sys/fs/ext4/${disk.device}/trigger_fs_error`, '1');
    for (let i = 0; i < 100; i++) {
      const acks = await publish(broker.intake, 1n, ['late']).catch(() => undefined);
      if (acks === undefined) break;
      if (acks[0] === 1 && i > 0) late++;
    }
    tally.fire();
    const code = await Promise.race([broker.exited, sleep(5000, 'alive')]);
    if (code === 'alive') await broker.kill();
    run('umount', '-l', disk.folder);
    spawnSync('e2fsck', ['-fy', disk.image]); // says 1 when it has put something right
    run('mount', '-o', 'loop', disk.image, disk.folder);
    tally.found(await recoverTwice(dataDir, ledger));
    return tally.verdict(`ended with ${code}; ${late} acks after it`);
  } finally {
    disk.remove();
  }
}
