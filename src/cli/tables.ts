// Tables and numbers as the verbs print them for people.

import Table from 'cli-table3';
import { colorsFor } from './output.ts';

/** A table whose first column is text and whose others are numbers, unless `left` names them. */
export function newTable(head: string[], left: readonly string[] = []): InstanceType<typeof Table> {
  const aligned = head.map((name, i) => (i === 0 || left.includes(name) ? 'left' : 'right'));
  const plain = { head: [], border: [] };
  const color = colorsFor(process.stdout).isColorSupported;
  return new Table({ head, colAligns: aligned as never, ...(color ? {} : { style: plain }) });
}

export function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** Text of others that may hold anything: nothing of it reaches the terminal as a command. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\u00b7');
}
