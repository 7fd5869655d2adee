// The live page in a real browser behind a reverse proxy that serves it below a path, with names
// of its own: it loads, shows news, changes what it is asked to, and asks for nothing elsewhere.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { loadUws } from '../../src/dashboard/uws.ts';
import { startChromium } from '../support/chromium.ts';
import { publish } from '../support/client.ts';
import { openTab, SCREENS, startScene, visit } from '../support/page.ts';
import { startPrefixProxy } from '../support/prefix-proxy.ts';

const started = await startChromium();
const browser = typeof started === 'string' ? undefined : (started as Browser);
after(() => browser?.close());
const uws = await loadUws();

// A suite that is skipped is not counted: this test stands for them all.
if (typeof started === 'string') test('the page behind a proxy', { skip: started }, () => {});

for (const transport of ['uws', 'node'] as const) {
  const noUws = transport === 'uws' && typeof uws === 'string' ? `does not load: ${uws}` : false;
  const skip = typeof started === 'string' ? started : noUws;
  describe(`the page behind a proxy, over ${transport}`, { skip }, () => {
    test('works below a path', async (t) => {
      const proxy = await startPrefixProxy('/tools/mq');
      t.after(() => proxy.close());
      const name = `127.0.0.1:${proxy.port}`;
      const { broker } = await startScene(transport, ['--dashboard-allow-host', name]);
      t.after(() => broker.stop());
      proxy.upstream(broker.dashboard!);
      const url = `http://${name}/tools/mq/`;

      const { page, troubles } = await openTab(browser!);
      for (const screen of SCREENS) await visit(page, url, screen);
      // Health asks the probes, whose answers say yes.
      await visit(page, url, 'health');
      await page.locator('.tile.probe.good').nth(2).waitFor();
      await publish(broker.intake, 7n, ['a', 'b', 'c']);
      await visit(page, url, 'buckets/7');
      await page.getByRole('button', { name: 'Pause deliveries' }).click();
      await page.getByText('Deliveries are paused by an operator.').waitFor();
      const links = await page.locator('footer a').evaluateAll(hrefs);
      for (const link of links) {
        assert.ok(link.startsWith(url), link);
        assert.equal((await fetch(link)).status, 200, link);
      }
      assert.equal(links.length, 3);
      assert.deepEqual(troubles, []);
      assert.deepEqual(
        proxy.strays.filter((path) => path !== '/favicon.ico'),
        [],
      );

      // Without the slash its files are looked for elsewhere: at least that is said.
      await page.goto(url.slice(0, -1));
      await page.getByText('its address ends with a slash').waitFor();
      await page.context().close();
    });
    test('says what is missing where the proxy has a name that was not allowed', async (t) => {
      const proxy = await startPrefixProxy('/mq');
      t.after(() => proxy.close());
      const { broker } = await startScene(transport);
      t.after(() => broker.stop());
      proxy.upstream(broker.dashboard!);
      const { page, troubles } = await openTab(browser!);
      await page.goto(`http://127.0.0.1:${proxy.port}/mq/`);
      await page.getByText(`--dashboard-allow-host 127.0.0.1:${proxy.port}`).waitFor();
      assert.deepEqual(troubles, []);
      await page.context().close();
    });
  });
}

/** Where links lead; runs in the page. */
function hrefs(elements: unknown[]): string[] {
  return elements.map((element) => (element as { href: string }).href);
}
