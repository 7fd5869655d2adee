// What is mounted where, from the kernel's own lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountsIn } from '../../src/os/mountinfo.ts';

test('a line gives what is mounted where, of which type, with blanks in paths', () => {
  const text = [
    '29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro',
    '31 29 8:1 /some\\040top /a\\040b\\134c rw - cgroup cgroup rw,memory',
  ].join('\n');
  assert.deepEqual(mountsIn(text), [
    { top: '/', point: '/', type: 'ext4', options: 'rw,errors=remount-ro' },
    { top: '/some top', point: '/a b\\c', type: 'cgroup', options: 'rw,memory' },
  ]);
});

test('a line with fewer fields is no failure', () => {
  const nothing = { top: '', point: '', type: '', options: '' };
  assert.deepEqual(mountsIn(''), [nothing]);
  assert.deepEqual(mountsIn('1 2 3 /top'), [{ ...nothing, top: '/top' }]);
});
