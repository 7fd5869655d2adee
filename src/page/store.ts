// Hooks that join components to the live connection, to requests that repeat, and to the clock.

import { useCallback, useEffect, useState } from 'preact/hooks';
import { type Follows, Live, type LiveState } from './live.ts';
import { get, type Result } from './request.ts';
import type { Problem } from './types.ts';

export const live = new Live();

/** What was pushed last; the component is drawn again with each push. */
export function useLive(): LiveState {
  const [state, setState] = useState(live.state);
  useEffect(() => {
    setState(live.state);
    return live.subscribe(() => setState(live.state));
  }, []);
  return state;
}

/** Whether nothing can be changed from here. */
export function useReadOnly(): boolean {
  const { overview, cluster } = useLive();
  return overview?.readOnly ?? cluster?.readOnly ?? false;
}

/** Has a bucket or a list pushed for as long as the component is shown. */
export function useFollow(follows: Follows): void {
  const key = JSON.stringify(follows);
  useEffect(() => live.follow(JSON.parse(key) as Follows), [key]);
}

export interface Polled<T> {
  data: T | undefined;
  problem: Problem | undefined;
  /** Asks again now. */
  refresh: () => void;
}

/** Asks for `path` again and again; the last answer stays while the next is under way. */
export function usePolled<T>(path: string, everyMs: number): Polled<T> {
  const [answer, setAnswer] = useState<{ path: string; data?: T; problem?: Problem }>({ path });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const take = (result: Result<T>) => {
      if (isOver) return;
      setAnswer((before) => {
        if (result.ok) return { path, data: result.data };
        const kept = before.path === path && before.data !== undefined ? { data: before.data } : {};
        return { path, ...kept, problem: result.problem };
      });
      timer = setTimeout(ask, document.hidden ? everyMs * 5 : everyMs);
    };
    const ask = () => void get<T>(path).then(take);
    ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [path, everyMs, round]);
  const refresh = useCallback(() => setRound((before) => before + 1), []);
  const isCurrent = answer.path === path;
  return {
    data: isCurrent ? answer.data : undefined,
    problem: isCurrent ? answer.problem : undefined,
    refresh,
  };
}

/** A value that outlives reloads, in this browser only. */
export function useKept(name: string, usual: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => kept(name) ?? usual);
  const keep = (next: string) => {
    setValue(next);
    try {
      localStorage.setItem(`thrustmq.${name}`, next);
    } catch {
      // Storage may be switched off; the choice then lasts as long as the page.
    }
  };
  return [value, keep];
}

function kept(name: string): string | undefined {
  try {
    return localStorage.getItem(`thrustmq.${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}
