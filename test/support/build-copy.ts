// A copy of the build below build/, whose scripts may be changed and run like the original's.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const BUILD = fileURLToPath(new URL('../../', import.meta.url));
const ROOT = path.dirname(path.resolve(BUILD));
// What a build is read together with: fixtures, names of sources, the packages.
const LINKED = ['node_modules', 'src', 'test', 'bench', 'package.json', 'asconfig.json'];

/**
 * Makes a folder with a build of its own in `build/`, everything else linked, and the sources of
 * the module copied. Its name begins with `prefix`; whoever asked for it removes it.
 */
export function copyOfBuild(prefix: string): string {
  const folder = fs.mkdtempSync(path.join(BUILD, prefix));
  const script = (file: string) => fs.statSync(file).isDirectory() || file.endsWith('.js');
  for (const name of ['src', 'test', 'assembly'])
    fs.cpSync(path.join(BUILD, name), path.join(folder, 'build', name), {
      recursive: true,
      filter: script,
    });
  for (const name of ['thrustmq.wasm', 'thrustmq.debug.wasm'])
    fs.copyFileSync(path.join(BUILD, name), path.join(folder, 'build', name));
  fs.cpSync(path.join(ROOT, 'assembly'), path.join(folder, 'assembly'), { recursive: true });
  for (const name of LINKED)
    if (fs.existsSync(path.join(ROOT, name)))
      fs.symlinkSync(path.join(ROOT, name), path.join(folder, name));
  return folder;
}
