// Rules on the page, in a real browser: set after a look at what would change, replaced from the
// version that was seen, removed; and what is in force for a bucket.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { encodeBatch } from '../../src/codec/wire.ts';
import { RawPeer } from '../support/broker.ts';
import { startChromium } from '../support/chromium.ts';
import { axeFindings, openTab, picture, type Scene, startScene, visit } from '../support/page.ts';

const browser = await startChromium();
const skip = typeof browser === 'string' ? browser : false;

describe('rules on the page', { skip }, () => {
  let scene: Scene;
  let page: Page;
  before(async () => {
    scene = await startScene('node');
    const producer = await RawPeer.connect(scene.broker.intake);
    producer.send(encodeBatch([{ bucket: 150n, body: Buffer.from('x') }], 'u64'));
    await producer.take(1);
    producer.destroy();
    ({ page } = await openTab(browser as Browser));
    await visit(page, scene.url, 'rules');
  });
  after(async () => {
    await page.context().close();
    await (browser as Browser).close();
    assert.equal(await scene.broker.stop(), 0);
  });

  const dialog = () => page.getByRole('dialog');
  const press = (name: string) => dialog().getByRole('button', { name, exact: true }).click();
  const row = (name: string) => page.locator('tr', { hasText: name });
  async function put(rule: { match: string; batch: number }): Promise<void> {
    const query = new URLSearchParams({ match: rule.match, batch: `${rule.batch}` });
    const url = new URL(`api/v1/rules/tenants?${query}`, scene.url);
    const headers = { 'x-thrustmq-request': '1' };
    assert.equal((await fetch(url, { method: 'PUT', headers })).status, 200);
  }

  test('a rule is looked at before it is set, and is listed then', async () => {
    await page.getByText('There are no rules').waitFor();
    await page.getByRole('button', { name: 'New rule …' }).click();
    await dialog().getByLabel('Name').fill('tenants');
    await dialog().getByLabel('Buckets').fill('100-199');
    await dialog().getByLabel('What it sets').fill('bacth=3');
    await press('Set');
    await dialog().getByText('did you mean "batch"?').waitFor();
    const field = (name: string) => dialog().getByLabel(name).getAttribute('aria-invalid');
    assert.equal(await field('What it sets'), 'true');
    assert.equal(await field('Buckets'), 'false');
    await dialog().getByLabel('What it sets').fill('batch=3');
    await dialog().getByLabel('Buckets').fill('9-1');
    await press('Set');
    await dialog().getByText('tenants", match').waitFor();
    assert.equal(await field('Buckets'), 'true');
    await dialog().getByLabel('Buckets').fill('100-199');
    await dialog().getByText('All keys').click();
    await dialog()
      .getByRole('row', { name: /^max_deliveries/ })
      .waitFor();
    await dialog().getByLabel('What it sets').fill('batch=3\nmax_in_flight=9');
    await press('Preview');
    await dialog().getByText('Setting it would change 1 of 1 known bucket').waitFor();
    assert.deepEqual(await axeFindings(page), []);
    await press('Set');
    await row('tenants').getByText('batch=3').waitFor();
    assert.match(await row('tenants').innerText(), /max_in_flight=9.*batch=3.*version \d/s);
  });

  test('a bucket is explained', async () => {
    const panel = page.locator('.panel', { hasText: 'In force for a bucket' });
    await panel.getByRole('textbox', { name: 'Bucket' }).fill('150');
    await panel.getByRole('button', { name: 'Explain' }).click();
    await panel.locator('tr', { hasText: 'rule tenants' }).first().waitFor();
    await panel.getByRole('textbox', { name: 'Bucket' }).fill('x');
    await panel.getByRole('button', { name: 'Explain' }).click();
    await panel.getByText('is no bucket').waitFor();
  });

  test('what somebody else has changed meanwhile is not overwritten', async () => {
    await page.getByRole('button', { name: 'Edit rule tenants' }).click();
    await put({ match: '100-199', batch: 4 });
    await dialog().getByLabel('What it sets').fill('batch=5');
    await press('Set');
    await dialog().getByText('Look at it again').waitFor();
    const both = dialog().getByRole('row', { name: 'batch 5 4' });
    await both.waitFor();
    await picture(page, 'rule-conflict');
    assert.deepEqual(await axeFindings(page), []);
    await press('Take what is there now');
    assert.match(await dialog().getByLabel('What it sets').inputValue(), /batch=4/);
    await put({ match: '100-199', batch: 6 });
    await dialog().getByLabel('What it sets').fill('batch=7');
    await press('Set');
    await dialog().getByRole('row', { name: 'batch 7 6' }).waitFor();
    await press('Go on with mine');
    await press('Set');
    await row('tenants').getByText('batch=7').waitFor();
  });

  test('a rule is removed after a look at what that changes', async () => {
    await page.getByRole('button', { name: 'Edit rule tenants' }).click();
    await press('Preview removal');
    await dialog().getByText('Removing it would change 1 of 1 known bucket').waitFor();
    await press('Remove');
    await page.getByText('There are no rules').waitFor();
  });
});
