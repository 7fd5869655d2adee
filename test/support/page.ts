// A broker with its page, and a browser that looks at it: what the tests of the page share.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { type BrokerProcess, startBroker, temporaryFolder } from './broker.ts';

/** Where pictures of the screens are left, for people to look at. */
export const PICTURES = fileURLToPath(new URL('../../screenshots/', import.meta.url));
/** Long enough for a machine that does other things, too. */
export const WAIT_MS = 20_000;

export const SCREENS = [
  'overview',
  'buckets',
  'dead',
  'connections',
  'rules',
  'log',
  'config',
  'health',
];

export interface Scene {
  broker: BrokerProcess;
  /** Address of the page. */
  url: string;
}

/** Starts a broker whose dashboard runs over `transport`. */
export async function startScene(transport: string, flags: string[] = []): Promise<Scene> {
  const broker = await startBroker({
    dataDir: temporaryFolder(),
    dashboard: true,
    flags: ['--dashboard-transport', transport, ...flags],
  });
  return { broker, url: `http://127.0.0.1:${broker.dashboard}/` };
}

/** As much of a document as functions that run in the page touch; these tests know no DOM types. */
export interface PageDocument {
  title: string;
  body: { innerText: string };
  documentElement: { scrollWidth: number; dataset: Record<string, string> };
  activeElement: PageElement | null;
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement> & { length: number };
}

export interface PageElement {
  id: string;
  textContent: string | null;
  matches(selector: string): boolean;
  querySelector(selector: string): PageElement | null;
}

declare const document: PageDocument;

export interface Look {
  scheme?: 'light' | 'dark';
  width?: number;
}

/** A tab of its own. `troubles` gathers what went wrong in it: errors, and refusals of the CSP. */
export async function openTab(
  browser: Browser,
  { scheme = 'light', width = 1280 }: Look = {},
): Promise<{ page: Page; troubles: string[] }> {
  const context = await browser.newContext({
    colorScheme: scheme,
    locale: 'en-US',
    viewport: { width, height: 900 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const troubles: string[] = [];
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('console', (message) => {
    // What the network does while a server is away is not an error of the page.
    const isNetwork = /ERR_CONNECTION|WebSocket connection|Failed to load resource/;
    if (message.type() === 'error' && !isNetwork.test(message.text()))
      troubles.push(message.text());
  });
  return { page, troubles };
}

/** Goes to a screen and waits until it shows what it asked for. */
export async function visit(page: Page, url: string, screen: string): Promise<void> {
  await page.goto(`${url}#/${screen}`);
  await page.locator('.connection.live').waitFor();
  await page.locator('main .panel').first().waitFor();
  await page.waitForFunction(() => !/Asking|Waiting for/.test(document.body.innerText));
}

export async function picture(page: Page, name: string): Promise<void> {
  fs.mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}${name}.png` });
}

interface Violation {
  id: string;
  nodes: { html: string; failureSummary?: string }[];
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds, a line each. Goes through the debugger, because the CSP lets no script in. */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(fs.readFileSync(AXE, 'utf8'));
  const { violations } = (await page.evaluate(
    'axe.run(document, { resultTypes: ["violations"] })',
  )) as { violations: Violation[] };
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = '' }) => `${id}: ${html} ${failureSummary}`),
  );
}
