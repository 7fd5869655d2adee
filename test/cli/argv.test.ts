// Arguments that are no text: their bytes come back where the system knows them, and nothing is
// guessed where it does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf, demandText, restoreArguments, shown } from '../../src/cli/argv.ts';
import { CliError } from '../../src/cli/output.ts';
import { seedOf } from '../support/random.ts';

const seed = seedOf('argv');
const decode = (raw: readonly Buffer[]) => raw.map((bytes) => bytes.toString());

test('any bytes come back as they were, whatever stands before them', () => {
  const fragment = fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text)),
    fc.constantFrom('\ufffd', '😀', '\ufeff', 'é').map((text) => Buffer.from(text)),
  );
  const argument = fc
    .array(fragment, { maxLength: 4 })
    .map((parts) => Buffer.concat(parts).filter((byte) => byte !== 0))
    .map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(argument), fc.array(argument), (before, raw) => {
      const restored = restoreArguments(decode(raw), () => [...before, ...raw]);
      assert.deepEqual(restored.map(bytesOf), raw);
      for (const [index, bytes] of raw.entries())
        if (Buffer.from(bytes.toString()).equals(bytes))
          assert.equal(restored[index], bytes.toString(), 'what is text stays as it is');
    }),
    // A character that begins with what stands for unknown bytes.
    { seed, examples: [[[], [Buffer.from('\x80\xf0\x90\x80\x80', 'latin1')]]] },
  );
});

test('without the bytes, a replacement character is not guessed at', () => {
  const other = () => [Buffer.from('something'), Buffer.from('else')];
  for (const raw of [() => undefined, () => [], other]) {
    const [plain, doubtful] = restoreArguments(['plain', 'caf\ufffd'], raw);
    assert.equal(plain, 'plain');
    assert.throws(
      () => bytesOf(doubtful!),
      (error: unknown) =>
        error instanceof CliError &&
        error.exitCode === 2 &&
        /"caf\?" .*--file or standard input/.test(error.message),
    );
  }
});

test('an option that is not text is refused and shown with its bytes', () => {
  const raw = [Buffer.from([0x63, 0xe9, 0x80])];
  const [text] = restoreArguments(decode(raw), () => raw);
  assert.equal(shown(text!), 'c\\xe9\\x80');
  assert.throws(() => demandText('--data-dir', text), /--data-dir: "c\\xe9\\x80" is not UTF-8/);
  assert.throws(() => demandText('--intake', ['fine', text]), CliError);
  demandText('--data-dir', 'grün 😀');
  demandText('--count', 7);
});
