// What `pub` is given besides lines: arguments and files, as bytes. Standard input is read as it
// comes, as it may be a pipe that does not block and whose writer takes a moment.

import { readFileSync } from 'node:fs';
import { MESSAGE_BYTES_CEILING } from '../../assembly/layout.ts';
import { bytesOf, shown } from './argv.ts';
import { CliError, EXIT } from './output.ts';

// Opened by name, a socket would be an error, and a pipe would be read from two sides.
const STANDARD_INPUT = ['-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0'];

/**
 * The messages that the command line names.
 * @throws CliError when one cannot be read, is empty, or larger than any message.
 */
export async function readBodies(
  bodies: readonly string[],
  files: readonly string[],
  input: AsyncIterable<Uint8Array> = process.stdin,
): Promise<Uint8Array[]> {
  const named: Uint8Array[] = bodies.map(bytesOf);
  for (const file of files) named.push(await readBody(file, input));
  for (const body of named) refuseUnfit(body);
  return named;
}

async function readBody(file: string, input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  try {
    return STANDARD_INPUT.includes(file) ? await readAll(input) : readFileSync(bytesOf(file));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(EXIT.usage, `cannot read ${shown(file)}: ${(error as Error).message}`);
  }
}

async function readAll(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of input) {
    bytes += part.length;
    if (bytes > MESSAGE_BYTES_CEILING)
      throw new RangeError(`it is longer than ${MESSAGE_BYTES_CEILING} bytes, as no message is`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function refuseUnfit({ length }: Uint8Array): void {
  if (length === 0) throw new CliError(EXIT.usage, 'an empty message cannot be published');
  if (length > MESSAGE_BYTES_CEILING)
    throw new CliError(
      EXIT.usage,
      `a message of ${length} bytes cannot be published: ${MESSAGE_BYTES_CEILING} is the most`,
    );
}
