// Which screen is shown, kept behind the # of the address so that links, reload and the back
// button work and the server knows nothing of it.

import { useEffect, useState } from 'preact/hooks';

export const SCREENS = [
  { name: 'overview', title: 'Overview', key: 'o' },
  { name: 'buckets', title: 'Buckets', key: 'b' },
  { name: 'dead', title: 'Dead', key: 'd' },
  { name: 'connections', title: 'Connections', key: 'c' },
  { name: 'rules', title: 'Rules', key: 'r' },
  { name: 'log', title: 'Log', key: 'l' },
  { name: 'cluster', title: 'Cluster', key: 'n' },
  { name: 'config', title: 'Settings', key: 'f' },
  { name: 'health', title: 'Health', key: 'h' },
] as const;

export type ScreenName = (typeof SCREENS)[number]['name'];

/** Those that there are: one is about clusters only. */
export function screensOf(isCluster: boolean): readonly (typeof SCREENS)[number][] {
  return SCREENS.filter(({ name }) => isCluster || name !== 'cluster');
}

/** Screens that may be about one bucket. */
const OF_BUCKETS: ReadonlySet<ScreenName> = new Set(['buckets', 'dead', 'rules']);

export interface Route {
  screen: ScreenName;
  /** What stands behind the name: the id of a bucket. */
  id: string | undefined;
}

/** What an address means; what is unknown means the overview. */
export function parseRoute(hash: string): Route {
  const [name = '', id] = hash.replace(/^#\/?/, '').split('/');
  const screen = SCREENS.find((each) => each.name === name)?.name ?? 'overview';
  return { screen, id: OF_BUCKETS.has(screen) && /^\d{1,20}$/.test(id ?? '') ? id : undefined };
}

export function hrefOf(screen: ScreenName, id?: string): string {
  return id === undefined ? `#/${screen}` : `#/${screen}/${id}`;
}

export function go(screen: ScreenName, id?: string): void {
  location.hash = hrefOf(screen, id);
}

/** The route now; the component is drawn again when it changes. */
export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return parseRoute(hash);
}
