// Dead messages on the page, in a real browser: from the overview to the list, to a bucket's dead,
// what each says and why it died, giving them back after a look at how many go where, no more of
// them, and purging the rest. What a peer wrote is text.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { startChromium } from '../support/chromium.ts';
import { answer, publish } from '../support/client.ts';
import {
  axeFindings,
  openTab,
  type PageDocument,
  picture,
  type Scene,
  startScene,
  visit,
} from '../support/page.ts';

declare const document: PageDocument;

const browser = await startChromium();
const skip = typeof browser === 'string' ? browser : false;
const REJECTED = 2;
const HOSTILE = '<img src=x onerror="document.title=1">';

describe('dead messages on the page', { skip }, () => {
  let scene: Scene;
  let page: Page;
  let troubles: string[];
  before(async () => {
    scene = await startScene('node');
    const { intake, exhaust } = scene.broker;
    const bodies = [HOSTILE, ...Array.from({ length: 11 }, (_, i) => `{"job":${i}}`)];
    await publish(intake, 7n, bodies);
    await answer(exhaust, 7n, bodies.length, REJECTED);
    ({ page, troubles } = await openTab(browser as Browser));
  });
  after(async () => {
    await page.context().close();
    await (browser as Browser).close();
    assert.equal(await scene.broker.stop(), 0);
  });

  const dialog = () => page.getByRole('dialog');
  const field = (name: string) => dialog().getByLabel(name);
  const button = (name: string) => page.getByRole('button', { name, exact: true });

  test('the overview counts them, and leads to the list and to the bucket', async () => {
    await visit(page, scene.url, 'overview');
    const tile = page.locator('.tile', { hasText: 'kept with their buckets' });
    await tile.getByText('12', { exact: true }).waitFor();
    await tile.getByRole('link').click();
    const row = page.locator('tr', { hasText: 'rejected 12' });
    await row.waitFor();
    assert.deepEqual(await axeFindings(page), []);
    await picture(page, 'dead-list');
    await row.getByRole('link', { name: '7' }).click();
    await page.getByText('12 dead; nobody is given them.').waitFor();
    await page.waitForFunction(() => document.title.startsWith('Dead messages of bucket 7'));
  });

  test('the page of the bucket counts them, and leads there, too', async () => {
    await visit(page, scene.url, 'buckets/7');
    const tile = page.locator('.tile', { hasText: 'kept with it' });
    await tile.getByText('12', { exact: true }).waitFor();
    await tile.getByRole('link').click();
    await page.getByText('12 dead; nobody is given them.').waitFor();
  });

  test('each is shown with why it died and when; what it says stays text', async () => {
    await page.locator('tr', { hasText: 'a consumer rejected it' }).getByText('12').waitFor();
    await button('Peek at the next messages').click();
    const first = page.locator('.messages li').first();
    await first.getByText(HOSTILE).waitFor();
    assert.match(await first.innerText(), /rejected #1 of bucket 7 before, 1 attempt there.*died/s);
    assert.equal(await page.locator('.messages img').count(), 0);
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme });
      assert.deepEqual(await axeFindings(page), [], scheme);
      await picture(page, `dead-7-${scheme}`);
    }
    await page.setViewportSize({ width: 375, height: 900 });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 375, `${width} px wide`);
    await picture(page, 'dead-7-phone');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  test('a form says what is wrong at the field, and before it is sent what it will do', async () => {
    await button('Give back …').click();
    await dialog()
      .getByText('12 messages of 12 will be given back to the bucket in which')
      .waitFor();
    await field('To bucket').fill('x');
    await dialog().getByText('A bucket is a number from 0 to').waitFor();
    assert.equal(await field('To bucket').getAttribute('aria-invalid'), 'true');
    assert.ok(
      await dialog()
        .getByRole('button', { name: /^Give back/ })
        .isDisabled(),
    );
    await field('To bucket').fill('8');
    await field('Messages at most').fill('5');
    await field('Messages a second').fill('0.01');
    await dialog()
      .getByText('5 messages of 12 will be given back to bucket 8, 0.01 a second')
      .waitFor();
    assert.deepEqual(await axeFindings(page), []);
    await dialog().getByRole('button', { name: 'Give back 5 messages' }).click();
    await page.getByText('1 message given back so far').waitFor();
  });

  test('an operator ends it; a second one gives back all that is left of the limit', async () => {
    await button('Give back no more').click();
    await page.getByText('1 message given back, then it was ended; the others stay dead').waitFor();
    await button('Give back …').click();
    await field('Messages at most').fill('1');
    await page.keyboard.press('Enter');
    await page.getByText('1 message given back, as many as were asked for').waitFor();
    await page.getByText('10 dead; nobody is given them.').waitFor();
  });

  test('purged after its id was typed, and nothing is left', async () => {
    await button('Purge …').click();
    const sure = dialog().getByRole('button', { name: 'Purge 10 messages' });
    assert.ok(await sure.isDisabled());
    await dialog().getByLabel('Type the id').fill('7');
    await sure.click();
    await page.getByText('Nothing is dead here.').first().waitFor();
    assert.deepEqual(troubles, []);
  });
});
