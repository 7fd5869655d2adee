// The page of a node of a cluster, in a real browser: the nodes and the stream, weak acks said on
// every screen, stepping down, and a node that follows, which has less to show and says so.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { ClusterSnapshot } from '../../src/contract/cluster.ts';
import type { Command, Outcome } from '../../src/contract/commands.ts';
import { DashboardSupervisor } from '../../src/dashboard/supervisor.ts';
import { clusterHealth } from '../../src/health.ts';
import { fakeSnapshot } from '../cli/fake-server.ts';
import { startChromium } from '../support/chromium.ts';
import { fakeCluster, fakeFollower, fakeNode, UNSAFE_ACK } from '../support/cluster.ts';
import { axeFindings, openTab, type PageDocument, picture, visit } from '../support/page.ts';

declare const document: PageDocument;

const SILENT = { info() {}, warn() {}, error() {}, debug() {} };
const SCREENS = ['overview', 'buckets', 'dead', 'connections', 'rules', 'log', 'cluster', 'config'];
const EMPTY: Record<string, object> = {
  buckets: { buckets: [], cursor: null, count: 0, more: false },
  connections: { connections: [], cursor: null, intake: 0, exhaust: 0 },
  rules: { rules: [], cursor: null, count: 0 },
  'rule-keys': { keys: [] },
  segments: { segments: [], cursor: null, count: 0 },
};

const browser = await startChromium();
const skip = typeof browser === 'string' ? browser : false;

describe('the page of a node of a cluster', { skip }, () => {
  let supervisor: DashboardSupervisor;
  let page: Page;
  let url: string;
  let troubles: string[];
  let node: { cluster: ClusterSnapshot | undefined; serves: boolean };
  const orders: Command[] = [];

  const carryOut = (command: Command): Outcome => {
    if (command.kind !== 'cluster-step-down') {
      const result = EMPTY[command.kind];
      if (result !== undefined) return { ok: true, result };
      return { ok: false, code: 'not-found', detail: 'there is no such thing here' };
    }
    orders.push(command);
    return { ok: true, result: { of: 'owner', from: '1' } };
  };

  const start = async (readOnly: boolean) => {
    const dashboard = { host: '127.0.0.1', port: 0, allowedHosts: [], readOnly, version: '0' };
    const made = new DashboardSupervisor({
      dashboard: { ...dashboard, transport: 'node' },
      log: SILENT,
      answer: () => ({
        health: { started: true, ...clusterHealth(node.cluster ?? fakeCluster()) },
        cluster: node.cluster,
        ...(node.serves ? { snapshot: fakeSnapshot() } : {}),
      }),
      command: (command, done) => done(carryOut(command)),
    });
    return { made, at: `http://127.0.0.1:${await made.first}/` };
  };

  before(async () => {
    const { made, at } = await start(false);
    supervisor = made;
    url = at;
  });
  beforeEach(async () => {
    node = { cluster: fakeCluster(), serves: true };
    await page?.context().close();
    ({ page, troubles } = await openTab(browser as Browser));
  });
  after(async () => {
    await page.context().close();
    await (browser as Browser).close();
    await supervisor.close();
  });

  const text = (what: string | RegExp) => page.getByText(what).first();
  const dialog = () => page.getByRole('dialog');
  const navigation = () => page.getByRole('navigation', { name: 'Screens' });

  test('nodes, stream, acks and owners, accessible in both colours and on a phone', async () => {
    for (const scheme of ['light', 'dark'] as const) {
      const tab = await openTab(browser as Browser, { scheme });
      await visit(tab.page, url, 'cluster');
      await tab.page.getByText('Node 1 owns the log; 1 of 2 others would take over').waitFor();
      assert.deepEqual(await axeFindings(tab.page), [], scheme);
      await picture(tab.page, `cluster-${scheme}`);
      assert.deepEqual(tab.troubles, []);
      await tab.page.context().close();
    }
    const phone = await openTab(browser as Browser, { width: 375 });
    await visit(phone.page, url, 'cluster');
    const width = await phone.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 375, `${width} px wide`);
    await phone.page.context().close();

    await visit(page, url, 'cluster');
    const row = (name: string) => page.locator('tr', { hasText: name });
    assert.match(
      await row('node 3').innerText(),
      /following.*900, 7 s.*900 messages of the stream/s,
    );
    const link = page.getByRole('link', { name: 'node 2' });
    assert.equal(await link.getAttribute('href'), 'http://10.0.0.2:3888/');
    await text('4 GiB of 16 GiB, 25 %').waitFor();
    await text('the owner before was silent').waitFor();
    assert.equal(await page.locator('.banner').count(), 0);
  });

  test('acks that mean less are said on every screen', async () => {
    node.cluster = fakeCluster({ ack: UNSAFE_ACK });
    for (const screen of SCREENS) {
      await visit(page, url, screen);
      const banner = await page.locator('.banner.warn').innerText();
      assert.match(banner, /mean less than they should: what was acked is in the memory/, screen);
    }
    assert.deepEqual(await axeFindings(page), []);
    await page.getByRole('link', { name: 'Why', exact: true }).click();
    await text('servers of NATS ack before they sync (--cluster-unsafe-sync)').waitFor();
    assert.deepEqual(troubles, []);
  });

  test('stepping down: the name has to be typed, and read-only has no way to', async () => {
    await visit(page, url, 'cluster');
    await page.getByRole('button', { name: 'Step down …' }).click();
    await dialog().getByText('Node 2 goes on.').waitFor();
    assert.deepEqual(await axeFindings(page), []);
    const confirm = dialog().getByRole('button', { name: 'Step down', exact: true });
    await dialog().getByLabel('Type the name').fill('order');
    assert.equal(await confirm.isDisabled(), true);
    await dialog().getByLabel('Type the name').fill('orders');
    await confirm.click();
    await dialog().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Another leader' }).click();
    await dialog().getByText('n2 leads it now.').waitFor();
    await dialog().getByLabel('Type the name').fill('orders');
    await dialog().getByRole('button', { name: 'Move the leader' }).click();
    await dialog().waitFor({ state: 'detached' });
    assert.deepEqual(orders.splice(0), [
      { kind: 'cluster-step-down', leader: false },
      { kind: 'cluster-step-down', leader: true },
    ]);
    node.cluster = fakeCluster({ nodes: fakeCluster().nodes.slice(0, 1) });
    await text('no other node would take over').waitFor();
    await page.getByRole('button', { name: 'Step down …' }).click();
    await dialog().getByText('No other node would take over now.').waitFor();
    await page.keyboard.press('Escape');

    const { made, at } = await start(true);
    await visit(page, at, 'cluster');
    await text('read-only').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Step down …' }).count(), 0);
    await made.close();
  });

  test('a node that follows: each screen shows what there is, and where the rest is', async () => {
    node.cluster = fakeFollower();
    node.serves = false;
    await visit(page, url, 'overview');
    await text('Node 2 keeps up with the log; node 1 owns it').waitFor();
    await text('Rates, totals and charts are on the dashboard of node 1').waitFor();
    const link = page.getByRole('link', { name: 'the dashboard of node 1' });
    assert.equal(await link.getAttribute('href'), 'http://10.0.0.1:3888/');
    assert.equal(await page.locator('.plot').count(), 0, 'no empty charts');
    await picture(page, 'follower');
    for (const screen of [...SCREENS, 'health']) {
      await visit(page, url, screen);
      assert.deepEqual(await axeFindings(page), [], screen);
    }
    await text('Its copy of the log').waitFor();
    await visit(page, url, 'log');
    await text('Segments, disk and the last recovery are on the dashboard of node 1').waitFor();
    await visit(page, url, 'connections');
    await text('passes 9 clients on').waitFor();
    assert.match(await page.locator('footer').innerText(), /ThrustMQ 9\.9\.9, node 2 of orders/);
    // It takes over, and the numbers of a broker come by themselves.
    node = {
      cluster: fakeCluster({ self: fakeNode(2, { state: 'owning' }) }),
      serves: true,
    };
    await navigation().getByRole('link', { name: 'Overview' }).click();
    await page.locator('.plot').first().waitFor();
    assert.deepEqual(troubles, []);
  });

  test('an owner in trouble says that before all else', async () => {
    node.cluster = fakeCluster({ self: fakeNode(1, { state: 'suspended' }) });
    await visit(page, url, 'overview');
    await text('Nothing is stored or delivered: the stream has confirmed nothing').waitFor();
  });

  test('a broker that is no node of a cluster has no such screen', async () => {
    node.cluster = undefined;
    const { made, at } = await start(false);
    await visit(page, at, 'overview');
    assert.equal(await navigation().getByRole('link', { name: 'Cluster' }).count(), 0);
    await page.goto(`${at}#/cluster`);
    await text('This broker is no node of a cluster').waitFor();
    await page.keyboard.press('?');
    await dialog().waitFor();
    assert.equal(await dialog().getByText('Cluster').count(), 0);
    await made.close();
  });
});
