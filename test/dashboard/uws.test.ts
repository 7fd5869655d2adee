// Why uWebSockets.js does not load, as it is told to people: the cause, not what stands around it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotLoaded } from '../../src/dashboard/uws.ts';

const LOADER =
  'This version of uWS.js supports only Node.js versions 16, 18 and 20 on (glibc) Linux.';

test('a Node.js that it has no binary for is named', () => {
  const absent =
    "Error: Cannot find module './uws_linux_x64_147.node'\nRequire stack:\n- /x/uws.js";
  assert.equal(
    whyNotLoaded(`${LOADER}\n\n${absent}`),
    `it brings no uws_linux_x64_147.node, which Node.js ${process.versions.node} needs`,
  );
});

test('a library that is too old, a package that is absent: their own words', () => {
  const old =
    "/lib/libc.so.6: version `GLIBC_2.38' not found (required by /x/uws_linux_x64_127.node)";
  assert.equal(whyNotLoaded(`${LOADER}\n\nError: ${old}`), old);
  const none = "Cannot find package 'uWebSockets.js' imported from /x/uws.js";
  assert.equal(whyNotLoaded(none), none);
  assert.equal(whyNotLoaded(''), 'unknown cause');
});
