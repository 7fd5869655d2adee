// What a broker in a process of its own says of itself, by its dashboard: counts that a test waits
// for, instead of a time.

import type { BrokerProcess } from './broker.ts';

/** Answer of the admin API to a GET, for example of `connections?limit=10`. */
export async function ask<Answer>({ dashboard }: BrokerProcess, path: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${dashboard}/api/v1/${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** Asks again and again until it is so; whoever waits for ever is ended by the time of its file. */
export async function until<Answer>(
  look: () => Promise<Answer>,
  isSo: (answer: Answer) => boolean,
): Promise<Answer> {
  for (;;) {
    const answer = await look();
    if (isSo(answer)) return answer;
  }
}
