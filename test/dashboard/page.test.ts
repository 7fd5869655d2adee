// The files of the page as they are served: small, compressed, kept by browsers, with no script or
// style in the document itself and nothing from outside.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type { DashboardRequest } from '../../src/dashboard/http.ts';
import { PAGE_PATHS, Page } from '../../src/dashboard/page.ts';

const COMPRESSED_BYTES_MAX = 100 * 1024;
const page = new Page();

function get(path: string, more: Partial<DashboardRequest> = {}) {
  const request = { method: 'GET', url: path, host: 'localhost', hasBody: false, ...more };
  return page.answer(path, request);
}

test('all of the page is at most 100 KiB, compressed either way', () => {
  for (const acceptEncoding of ['gzip', 'br']) {
    let total = 0;
    for (const path of PAGE_PATHS) {
      const { status, bytes, headers } = get(path, { acceptEncoding });
      assert.equal(status, 200, path);
      assert.equal(headers['content-encoding'], acceptEncoding);
      total += bytes!.length;
    }
    assert.ok(total <= COMPRESSED_BYTES_MAX, `${total} bytes with ${acceptEncoding}`);
    assert.ok(total > 10_000, 'there is a page at all');
  }
});

test('the encoding is one that the browser takes', () => {
  const plain = Buffer.from(get('/page.js').bytes!);
  const zipped = get('/page.js', { acceptEncoding: 'deflate, GZIP;q=0.5' });
  assert.deepEqual(gunzipSync(zipped.bytes!), plain);
  const best = get('/page.js', { acceptEncoding: 'gzip, deflate, br' });
  assert.deepEqual(brotliDecompressSync(best.bytes!), plain);
  for (const acceptEncoding of ['', 'identity', 'br;q=0, gzip;q=0', 'brotli'])
    assert.equal(get('/page.js', { acceptEncoding }).headers['content-encoding'], undefined);
  assert.equal(best.headers.vary, 'Accept-Encoding');
});

test('a browser that has it gets no second copy', () => {
  const { etag, 'cache-control': kept } = get('/page.js').headers;
  assert.equal(kept, 'no-cache');
  const again = get('/page.js', { ifNoneMatch: `"other", ${etag}` });
  assert.equal(again.status, 304);
  assert.equal(again.bytes, undefined);
  assert.equal(get('/page.js', { ifNoneMatch: '"other"' }).status, 200);
  assert.notEqual(get('/page.css').headers.etag, etag);
});

test('the document holds no script and no style, and nothing comes from outside', () => {
  const text = (path: string) => Buffer.from(get(path).bytes!).toString();
  const html = text('/');
  assert.ok(!/<script(?![^>]*src="page\.js"><\/script>)|<style|\son\w+=|style=/.test(html), html);
  assert.match(html, /<noscript>[\s\S]*href="dash"/);
  for (const path of ['/', '/page.css', '/page.js']) {
    const outside = text(path).match(/(?:src|href|url\(|import\()\W{0,2}https?:[^\s)]*/g);
    assert.equal(outside, null, path);
  }
});

test('nothing in the page is an address from the root: a proxy may serve it below a path', () => {
  const text = (path: string) => Buffer.from(get(path).bytes!).toString();
  const references = [...text('/').matchAll(/(?:src|href)="([^"]*)"/g)].map(([, to]) => to!);
  assert.ok(references.length >= 5, String(references));
  for (const to of references) {
    const { pathname } = new URL(to, 'http://host/mq/');
    assert.match(pathname, /^\/mq\/(page\.\w+|dash|metrics)$/, to);
  }
  // In scripts and styles, whatever is served here must not be named from the root.
  const served = [...PAGE_PATHS, '/api/', '/dash', '/metrics', '/livez', '/readyz', '/startupz'];
  for (const path of ['/page.js', '/page.css'])
    for (const name of served.filter((each) => each !== '/'))
      for (const quote of ['"', "'", '`', '('])
        assert.ok(!text(path).includes(quote + name), `${path} asks for ${quote}${name}`);
});

test('whoever gets the document but none of its files is told about the address', () => {
  const text = (path: string) => Buffer.from(get(path).bytes!).toString();
  assert.match(text('/'), /class="adrift">[\s\S]*ends with\s+a\s+slash/);
  assert.match(text('/page.css'), /\.adrift\{display:none\}/);
});

test('a page that was not built says what to do', () => {
  const bare = new Page(new URL('./nowhere/', import.meta.url));
  const reply = bare.answer('/', { method: 'GET', url: '/', host: 'localhost', hasBody: false });
  assert.equal(reply.status, 503);
  assert.match(reply.body, /npm run build/);
});
