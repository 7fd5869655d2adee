// A real browser out of an npm package, for the tests of the page. Unpacked into a folder of this
// test process, never into one that somebody else may have prepared; gone when the process ends.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';

// Not the package's own flags, which are for a cloud function: they switch web security off.
const FLAGS = [
  '--no-sandbox',
  '--no-zygote',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

const FONTS = (folder: string) => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/cache</cachedir></fontconfig>
`;

/** Starts the browser, or says in a sentence why it cannot run here. */
export async function startChromium(): Promise<Browser | string> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'thrustmq-browser-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  fs.writeFileSync(path.join(folder, 'fonts.conf'), FONTS(folder));
  // Read by the package while it is imported: where it unpacks, and that it brings its libraries.
  process.env.TMPDIR = folder;
  process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x';
  process.env.FONTCONFIG_FILE = path.join(folder, 'fonts.conf');
  try {
    const { default: chromium } = await import('@sparticuz/chromium');
    chromium.setGraphicsMode = false;
    const executablePath = await chromium.executablePath();
    const { chromium: playwright } = await import('playwright-core');
    // The package names a font configuration of its own when it is imported.
    const env = { ...process.env, FONTCONFIG_FILE: path.join(folder, 'fonts.conf') };
    return await playwright.launch({ executablePath, args: FLAGS, headless: true, env });
  } catch (error) {
    const lines = String((error as Error).message).split('\n');
    return `no browser here: ${lines[0]}`;
  }
}
