// Small disks for tests that fill or break one; they need what `needsLoopDisk` names.

import fs from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from './broker.ts';
import { run } from './machine.ts';

/** A file system of its own, ext4 in an image file; unmounted when `use` ends. */
export async function withDisk(
  megabytes: number,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const image = path.join(folder, 'disk.img');
  const mount = path.join(folder, 'mount');
  fs.mkdirSync(mount);
  fs.writeFileSync(image, '');
  fs.truncateSync(image, megabytes * 1024 * 1024);
  run('mkfs.ext4', '-q', '-m', '0', image);
  run('mount', '-o', 'loop', image, mount);
  try {
    await use(mount);
  } finally {
    run('umount', '-l', mount);
  }
}
