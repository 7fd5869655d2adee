// What commands are answered with when they cannot be carried out, and bounds of what they ask for.

import type { Refusal } from '../../contract/commands.ts';

export function refuse(code: Refusal['code'], detail: string): Refusal {
  return { ok: false, code, detail };
}

export function notAnId(id: unknown): Refusal {
  const text = `"${String(id).slice(0, 40)}" is no bucket: an id is a number from 0 to 2^64 - 1`;
  return refuse('bad-request', text);
}

export function bounded(limit: number, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(limit) || 1));
}
