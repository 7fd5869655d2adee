// The live page in a real browser, over both transports: each screen in light and dark, news that
// comes by itself, an interruption that heals, keys, changes, and hostile content.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { loadUws } from '../../src/dashboard/uws.ts';
import { RawPeer } from '../support/broker.ts';
import { startChromium } from '../support/chromium.ts';
import { batchOf, publish, TestConsumer } from '../support/client.ts';
import {
  axeFindings,
  openTab,
  type PageDocument,
  picture,
  SCREENS,
  type Scene,
  startScene,
  visit,
  WAIT_MS,
} from '../support/page.ts';

declare const document: PageDocument;
declare const requestAnimationFrame: (call: (value: unknown) => void) => void;

const HOSTILE = '18446744073709551615';
const BODIES: (string | Uint8Array)[] = [
  '<img src=x onerror="document.title=1"><script>document.title=1</script>',
  'photo\u202egpj.exe \u2066isolated',
  'nul \u0000 bell \u0007 escape \u001b[31m',
  Uint8Array.of(0xff, 0xfe, 0x80, 0x00, 0x41),
  '{"id":12345678901234567890,"list":[{"deep":null}]}',
  'y'.repeat(900_000),
];

const started = await startChromium();
const browser = typeof started === 'string' ? undefined : (started as Browser);
after(() => browser?.close());
const uws = await loadUws();

// A suite that is skipped is not counted: this test stands for them all.
if (typeof started === 'string') test('the page in a browser', { skip: started }, () => {});

for (const transport of ['uws', 'node'] as const) {
  const noUws = transport === 'uws' && typeof uws === 'string' ? `does not load: ${uws}` : false;
  const skip = typeof started === 'string' ? started : noUws;
  describe(`the page over ${transport}`, { skip }, () => {
    let scene: Scene;
    const peers: TestConsumer[] = [];
    before(async () => {
      scene = await startScene(transport);
      const { intake, exhaust } = scene.broker;
      await publish(
        intake,
        BigInt(HOSTILE),
        BODIES.map((body) => Buffer.from(body as string)),
      );
      await publish(
        intake,
        7n,
        Array.from({ length: 30 }, (_, i) => `{"n":${i}}`),
      );
      peers.push(await TestConsumer.join(exhaust, 7n, 5));
    });
    after(async () => {
      for (const consumer of peers) consumer.peer.destroy();
      await scene.broker.stop();
    });
    screens(() => scene, transport);
    news(() => scene);
    changes(() => scene, transport);
    hostile(() => scene);
  });
}

function screens(scene: () => Scene, transport: string): void {
  for (const scheme of ['light', 'dark'] as const)
    test(`every screen in ${scheme} is accessible and free of errors`, async () => {
      const { page, troubles } = await openTab(browser!, { scheme });
      for (const screen of [...SCREENS, 'buckets/7']) {
        await visit(page, scene().url, screen);
        if (screen === 'buckets/7') {
          await page.getByRole('button', { name: 'Peek at the next messages' }).click();
          await page.locator('.messages li').first().waitFor();
        }
        assert.deepEqual(await axeFindings(page), [], `${screen} in ${scheme}`);
        if (transport === 'node') await picture(page, `${screen.replace('/', '-')}-${scheme}`);
      }
      assert.deepEqual(troubles, []);
      await page.context().close();
    });

  test('on a phone nothing sticks out of the screen', async () => {
    const { page } = await openTab(browser!, { width: 375 });
    for (const screen of [...SCREENS, 'buckets/7']) {
      await visit(page, scene().url, screen);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 375, `${screen} is ${width} px wide`);
      if (transport === 'node') await picture(page, `${screen.replace('/', '-')}-phone`);
    }
    await page.context().close();
  });

  test('the whole way by keyboard: skip, screens, search, help', async () => {
    const { page } = await openTab(browser!);
    await visit(page, scene().url, 'overview');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
    for (const [key, title] of [
      ['c', 'Connections'],
      ['l', 'Log'],
      ['f', 'Settings'],
      ['h', 'Health'],
      ['b', 'Buckets'],
    ]) {
      await page.keyboard.press('g');
      await page.keyboard.press(key!);
      await page.waitForFunction((text) => document.title.startsWith(text!), title);
    }
    await page.keyboard.press('/');
    await page.waitForFunction(() => document.activeElement?.matches('input[type=search]'));
    await page.keyboard.type('7');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.title.startsWith('Bucket 7'));
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('the colours are switched, and stay switched', async () => {
    const { page } = await openTab(browser!, { scheme: 'light' });
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    await visit(page, scene().url, 'overview');
    assert.equal(await theme(), 'light');
    await page.getByRole('button', { name: 'Switch to dark colours' }).click();
    assert.equal(await theme(), 'dark');
    await page.reload();
    await page.locator('.connection.live').waitFor();
    assert.equal(await theme(), 'dark');
    await page.context().close();
  });
}

async function focused(page: Page): Promise<string | undefined> {
  return page.evaluate(() => document.activeElement?.textContent?.trim());
}

function news(scene: () => Scene): void {
  test('what is published shows by itself, and lights up', async (t) => {
    const { page } = await openTab(browser!);
    await visit(page, scene().url, 'overview');
    const tile = page.locator('.tile', { hasText: 'Ready' }).locator('.value');
    const before = await tile.innerText();
    const sentMs = performance.now();
    await publish(scene().broker.intake, 99n, ['a', 'b', 'c']);
    await page.waitForFunction(
      (text) =>
        [...document.querySelectorAll('.tile')]
          .find((each) => each.textContent?.startsWith('Ready'))
          ?.querySelector('.value')?.textContent !== text,
      before,
    );
    t.diagnostic(`shown ${Math.round(performance.now() - sentMs)} ms after its publish began`);
    assert.match((await tile.getAttribute('class')) ?? '', /lit-/);
    await page.locator('.status', { hasText: 'without a consumer' }).waitFor();
    await page.context().close();
  });

  test('charts have lines, and zoom together', async () => {
    const { page } = await openTab(browser!);
    await visit(page, scene().url, 'overview');
    assert.equal(await page.locator('.chart canvas').count(), 9);
    await page.waitForFunction(() => !/in –/.test(document.querySelector('.chart')!.textContent!));
    const box = (await page.locator('.chart .u-over').first().boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.getByRole('button', { name: 'Reset zoom' }).click();
    await page.getByRole('button', { name: 'Reset zoom' }).waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('charts are zoomed together by keys, and it is said what they show', async () => {
    // Something to zoom into: more seconds than are shown at the closest.
    for (let rows = 0; rows < 12; await sleep(100)) {
      const answer = await fetch(`${scene().url}api/v1/history?seconds=900`);
      rows = ((await answer.json()) as { rows: unknown[] }).rows.length;
    }
    const { page, troubles } = await openTab(browser!);
    await visit(page, scene().url, 'overview');
    const chart = page.getByRole('application', { name: 'Zoom of Memory' });
    const said = page.locator('.panel:has(.charts) [role=status]');
    const reset = page.getByRole('button', { name: 'Reset zoom' });
    assert.equal(await said.innerText(), '');
    await chart.focus();
    const shown = async (): Promise<number[]> => {
      await said.filter({ hasText: ' to ' }).waitFor();
      return [...(await said.innerText()).matchAll(/(\d+):(\d+):(\d+)/g)].map(
        ([, hours, minutes, seconds]) => +hours! * 3600 + +minutes! * 60 + +seconds!,
      );
    };
    const before = await page.locator('.chart canvas').evaluateAll(pictures);
    // Until what happened before the page is there, there is no part of it to show.
    for (let tries = 0; tries < 500 && (await reset.count()) === 0; tries++) {
      await page.keyboard.press('+');
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
    }
    await reset.waitFor();
    const [from, to] = await shown();
    const first = await said.innerText();
    assert.ok(to! - from! >= 3, `${from} to ${to}`);
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(
      (text) => document.querySelector('.panel:has(.charts) [role=status]')!.textContent !== text,
      first,
    );
    const [moved] = await shown();
    assert.ok(moved! < from!, 'earlier');
    const after = await page.locator('.chart canvas').evaluateAll(pictures);
    for (const [i, picture] of after.entries())
      assert.notEqual(picture, before[i], `chart ${i} is drawn anew`);
    assert.deepEqual(await axeFindings(page), []);
    for (let tries = 0; tries < 8; tries++) await page.keyboard.press('-');
    await reset.waitFor({ state: 'detached' });
    await page.keyboard.press('+');
    await reset.waitFor();
    await page.keyboard.press('Escape');
    await reset.waitFor({ state: 'detached' });
    await said.filter({ hasText: 'all of the time' }).waitFor();
    assert.equal(await chart.evaluate((element) => element === document.activeElement), true);
    assert.deepEqual(troubles, []);
    await page.context().close();
  });

  test('memory is drawn against its budget', async () => {
    const { page } = await openTab(browser!);
    await visit(page, scene().url, 'overview');
    const { memory } = (await (await fetch(`${scene().url}api/v1/overview`)).json()) as {
      memory: { budgetBytes: number };
    };
    const legend = page.locator('.chart', { hasText: 'Memory' }).locator('.legend');
    await legend.filter({ hasText: `budget ${memory.budgetBytes / 2 ** 20} MiB` }).waitFor();
    const canvases = page.locator('.chart:has-text("Memory") canvas');
    assert.ok((await canvases.evaluate(dashes, '#58616c')) > 50, 'no line for the budget');
    const others = page.locator('.chart:has-text("Disk") canvas');
    assert.equal(await others.evaluate(dashes, '#58616c'), 0, 'a line where there is no bound');
    await page.context().close();
  });

  test('an interruption is shown, and healed without the user', async (t) => {
    const { page, troubles } = await openTab(browser!);
    await visit(page, scene().url, 'overview');
    const { pid } = (await (await fetch(`${scene().url}api/v1/overview`)).json()) as {
      pid: number;
    };
    const children = await childrenOf(pid);
    assert.equal(children.length, 1, 'the broker has one child, the dashboard');
    process.kill(children[0]!, 'SIGKILL');
    const killedMs = performance.now();
    await page.locator('.banner.bad').waitFor();
    await page.locator('.connection.live').waitFor();
    t.diagnostic(`back ${Math.round(performance.now() - killedMs)} ms after the kill`);
    await page.locator('.banner').waitFor({ state: 'detached' });
    assert.deepEqual(troubles, []);
    await page.context().close();
  });
}

/** Pixels of a colour within the axes of a chart; runs in the page. */
function dashes(element: unknown, colour: string): number {
  const canvas = element as {
    width: number;
    height: number;
    getContext(kind: '2d'): {
      getImageData(x: number, y: number, w: number, h: number): { data: Uint8Array };
    };
  };
  const wanted = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  const { data } = canvas
    .getContext('2d')
    .getImageData(70, 0, canvas.width - 70, canvas.height - 30);
  let found = 0;
  for (let at = 0; at < data.length; at += 4)
    if (wanted.every((value, i) => Math.abs(value - data[at + i]!) < 8) && data[at + 3]! > 200)
      found++;
  return found;
}

/** What canvases show; runs in the page. */
function pictures(elements: unknown[]): string[] {
  return elements.map((element) => (element as { toDataURL(): string }).toDataURL());
}

async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

function changes(scene: () => Scene, transport: string): void {
  test('a bucket is paused, resumed, and purged only after its id was typed', async () => {
    const { page } = await openTab(browser!);
    await publish(scene().broker.intake, 555n, ['1', '2', '3']);
    await visit(page, scene().url, 'buckets/555');
    await page.getByText('Messages wait and nobody consumes the bucket.').waitFor();
    await page.getByRole('button', { name: 'Pause deliveries' }).click();
    await page.getByText('Deliveries are paused by an operator.').waitFor();
    await page.getByRole('button', { name: 'Resume deliveries' }).click();
    await page.getByText('Messages wait and nobody consumes the bucket.').waitFor();
    await page.getByRole('button', { name: 'Purge …' }).click();
    const confirm = page.getByRole('button', { name: 'Purge 3 messages' });
    assert.ok(await confirm.isDisabled());
    assert.deepEqual(await axeFindings(page), []);
    await page.getByLabel('Type the id of the bucket to confirm').fill('55');
    assert.ok(await confirm.isDisabled());
    await page.getByLabel('Type the id of the bucket to confirm').fill('555');
    await confirm.click();
    await page.getByText('Nothing waits.').waitFor();
    await page.getByText('done', { exact: true }).waitFor();
    await page.context().close();
  });

  test('a connection is closed after a question', async () => {
    const { page } = await openTab(browser!);
    const victim = await RawPeer.connect(scene().broker.intake);
    victim.send(batchOf(4242n, [Buffer.from('x')]));
    await victim.take(1);
    await visit(page, scene().url, 'connections');
    const row = page.locator('tr', { hasText: `:${victim.socket.localPort}` });
    await row.getByRole('button', { name: /^Close/ }).click();
    await page.getByRole('button', { name: 'Close the connection' }).click();
    await victim.closed;
    await row.waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('health says which server the page comes from, and why', async () => {
    const { page } = await openTab(browser!);
    await visit(page, scene().url, 'health');
    const facts = page.locator('.panel', { hasText: 'Process' });
    const served = transport === 'uws' ? 'uWebSockets.js' : 'node:http and ws';
    await facts.getByText(served, { exact: true }).waitFor();
    const why = await facts.getByText('node:http was asked for (dashboard_transport)').count();
    assert.equal(why, transport === 'node' ? 1 : 0);
    await page.context().close();
  });

  test('settings say where their values come from', async () => {
    const { page } = await openTab(browser!);
    await visit(page, scene().url, 'config');
    await page.getByLabel('only what is not the default').check();
    const row = page.locator('tr', { hasText: 'dashboard_transport' });
    assert.match(await row.innerText(), /--dashboard-transport/);
    assert.equal(await page.locator('tr', { hasText: 'sync_interval' }).count(), 0);
    await page.context().close();
  });
}

function hostile(scene: () => Scene): void {
  test('hostile messages are shown as text, in every form', async () => {
    const { page, troubles } = await openTab(browser!);
    await visit(page, scene().url, `buckets/${HOSTILE}`);
    await page.getByRole('button', { name: 'Peek at the next messages' }).click();
    await page
      .locator('.messages li')
      .nth(BODIES.length - 1)
      .waitFor();
    const shown = await page.locator('.messages pre').allInnerTexts();
    assert.equal(shown[0], BODIES[0]);
    assert.equal(shown[1], 'photo<U+202E>gpj.exe <U+2066>isolated');
    assert.match(shown[2]!, /^00000000 {2}6e 75 6c/);
    assert.match(shown[3]!, /ff fe 80 00 41/);
    assert.match(shown[4]!, /"id": 12345678901234567890,\n/);
    assert.ok(shown[5]!.length <= 4096);
    for (const form of ['Text', 'JSON', 'Hex'])
      for (const button of await page.getByRole('button', { name: form, exact: true }).all())
        await button.click();
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.match(await page.title(), /^Bucket/);
    assert.deepEqual(await axeFindings(page), []);
    assert.deepEqual(troubles, []);
    const still = await publish(scene().broker.intake, BigInt(HOSTILE), ['z']);
    assert.deepEqual(still, [1], 'nothing was taken or broken by looking');
    await page.context().close();
  });

  test('addresses that mean nothing lead to the overview, never to an error', async () => {
    const { page, troubles } = await openTab(browser!);
    for (const hash of ['%3Cscript%3E', 'buckets/-1', 'buckets/1/2', 'log/<b>', '/'.repeat(500)]) {
      await page.goto(`${scene().url}#/${hash}`);
      await page.locator('.connection.live').waitFor();
      await page.locator('main .panel').first().waitFor();
    }
    assert.deepEqual(troubles, []);
    await page.context().close();
  });
}

describe('a page of many buckets', { skip: typeof started === 'string' ? started : false }, () => {
  test('a hundred thousand: pages, orders and the search stay quick', async (t) => {
    const scene = await startScene('auto');
    const peer = await RawPeer.connect(scene.broker.intake);
    const many = 100_000;
    const { encodeBatch } = await import('../../src/codec/wire.ts');
    for (let at = 1; at <= many; at += 1000) {
      const batch = Array.from({ length: 1000 }, (_, i) => ({
        bucket: BigInt(at + i),
        body: Buffer.from('x'),
      }));
      peer.send(encodeBatch(batch, 'u64'));
      await peer.take(1000);
    }
    const askedMs = performance.now();
    const answer = await fetch(`${scene.url}api/v1/buckets?limit=50&sort=backlog`);
    await answer.json();
    t.diagnostic(`the list took ${Math.round(performance.now() - askedMs)} ms`);
    const { page } = await openTab(browser!);
    const openedMs = performance.now();
    await visit(page, scene.url, 'buckets');
    t.diagnostic(`the page took ${Math.round(performance.now() - openedMs)} ms`);
    await page.getByText('100,000 known').waitFor();
    assert.equal(await page.locator('tbody tr').count(), 50);
    const first = await page.locator('tbody tr .id').first().innerText();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('Page 2').waitFor();
    await page.waitForFunction(
      (id) => {
        const now = document.querySelector('tbody tr .id')?.textContent;
        return now !== undefined && now !== id;
      },
      first,
      { timeout: WAIT_MS },
    );
    await page.getByLabel('Id begins with').fill('99999');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    await page.getByLabel('Order').selectOption('id');
    await page.getByLabel('Id begins with').fill('');
    await page.waitForFunction(() => document.querySelector('tbody tr .id')?.textContent === '1');
    peer.destroy();
    await page.context().close();
    await scene.broker.stop();
  });
});
