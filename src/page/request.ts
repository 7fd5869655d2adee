// Requests to the admin API. An answer is data or a problem in words; nothing here throws. All
// addresses are relative to the page's own, which a proxy may serve below a path of its choice.

import type { Problem } from './types.ts';

export type Result<T> = { ok: true; data: T } | { ok: false; problem: Problem };

const TIMEOUT_MS = 10_000;
const ROOT = 'api/v1';

/** Reads; `path` begins below /api/v1. */
export function get<T>(path: string): Promise<Result<T>> {
  return request<T>('GET', ROOT + path);
}

/** Changes something. The header says that it was us: a page of another origin cannot send it. */
export function change<T>(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  more: Record<string, string> = {},
): Promise<Result<T>> {
  return request<T>(method, ROOT + path, { ...more, 'X-ThrustMQ-Request': '1' });
}

/** Reads a probe, such as `livez`, whose answer is JSON also when it fails. */
export async function probe<T>(path: string): Promise<T | undefined> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    return (await (await fetch(`${path}?verbose=1`, { signal })).json()) as T;
  } catch {
    return undefined;
  }
}

async function request<T>(
  method: string,
  url: string,
  headers: Record<string, string> = {},
): Promise<Result<T>> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method, headers, signal });
    const body = await response.json();
    return response.ok ? { ok: true, data: body as T } : { ok: false, problem: body as Problem };
  } catch {
    const detail = 'the dashboard does not answer; it is tried again';
    return {
      ok: false,
      problem: { status: 0, code: 'unreachable', title: 'No answer', detail },
    };
  }
}
