// Entry of the page: the frame around all screens, the state of the connection, the keys.

import './language.ts';
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { BucketScreen } from './bucket.tsx';
import { BucketsScreen } from './buckets.tsx';
import { ClusterScreen } from './cluster.tsx';
import { ConfigScreen } from './config.tsx';
import { ConnectionsScreen } from './connections.tsx';
import { DeadScreen } from './dead.tsx';
import { DeadBucketScreen } from './dead-bucket.tsx';
import { FollowerScreen } from './follower.tsx';
import { duration } from './format.ts';
import { HealthScreen } from './health.tsx';
import { KeysDialog, useKeys } from './keys.tsx';
import type { LiveState } from './live.ts';
import { LogScreen } from './log.tsx';
import { OverviewScreen } from './overview.tsx';
import { hrefOf, type Route, SCREENS, type ScreenName, screensOf, useRoute } from './route.ts';
import { RulesScreen } from './rules.tsx';
import { useKept, useLive, useReadOnly } from './store.ts';
import { sentence } from './words.ts';

/** Attempts until it is said that there is no connection; two seconds. */
const FAILURES_SHOWN = 4;
const THEMES = ['auto', 'light', 'dark'];
const DARK = matchMedia('(prefers-color-scheme: dark)');

function App() {
  const route = useRoute();
  const [theme, setTheme] = useTheme();
  const [isHelp, setHelp] = useState(false);
  const main = useRef<HTMLElement>(null);
  useKeys({ onHelp: () => setHelp(true) });
  const title = SCREENS.find(({ name }) => name === route.screen)!.title;
  const where = route.id === undefined ? title : titleOf(route.screen, route.id);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${where} · ThrustMQ`;
    // A screen reader, and the Tab key, go on at the top of what is new.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [where]);
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <a class="brand" href={hrefOf('overview')}>
          <img src="page.svg" alt="" width="22" height="22" />
          ThrustMQ
        </a>
        <Navigation route={route} />
        <div class="tools">
          <Connection />
          <ThemeButton theme={theme} setTheme={setTheme} />
          <button type="button" aria-label="Keys" title="Keys (?)" onClick={() => setHelp(true)}>
            ?
          </button>
        </div>
      </header>
      <Interruption />
      <UnsafeAcks />
      <main ref={main} id="main" tabIndex={-1}>
        <h1 class="unseen">{where}</h1>
        <Screen route={route} theme={theme} />
      </main>
      <Footer />
      {isHelp && <KeysDialog onClose={() => setHelp(false)} />}
    </>
  );
}

function titleOf(screen: ScreenName, id: string): string {
  if (screen === 'buckets') return `Bucket ${id}`;
  return screen === 'dead' ? `Dead messages of bucket ${id}` : `Rules of bucket ${id}`;
}

function Navigation({ route }: { route: Route }) {
  const { cluster } = useLive();
  return (
    <nav aria-label="Screens">
      {screensOf(cluster !== undefined).map(({ name, title }) => (
        <a key={name} href={hrefOf(name)} aria-current={name === route.screen ? 'page' : undefined}>
          {title}
        </a>
      ))}
    </nav>
  );
}

function Screen({ route, theme }: { route: Route; theme: string }) {
  const { cluster } = useLive();
  switch (route.screen) {
    case 'buckets':
      return route.id === undefined ? (
        <BucketsScreen />
      ) : (
        <BucketScreen key={route.id} id={route.id} />
      );
    case 'dead':
      return route.id === undefined ? (
        <DeadScreen />
      ) : (
        <DeadBucketScreen key={route.id} id={route.id} />
      );
    case 'connections':
      return <ConnectionsScreen />;
    case 'rules':
      return <RulesScreen bucket={route.id} />;
    case 'log':
      return <LogScreen />;
    case 'cluster':
      return <ClusterScreen />;
    case 'config':
      return <ConfigScreen />;
    case 'health':
      return <HealthScreen />;
    default:
      return cluster?.serves === false ? (
        <FollowerScreen cluster={cluster} />
      ) : (
        <OverviewScreen theme={theme} />
      );
  }
}

function connectionWords({ phase, problem }: LiveState): { kind: string; text: string } {
  if (phase === 'connecting') return { kind: 'wait', text: 'connecting' };
  if (phase === 'lost') return { kind: 'lost', text: 'interrupted' };
  return problem?.status === 503
    ? { kind: 'wait', text: 'waiting' }
    : { kind: 'live', text: 'live' };
}

function Footer() {
  const { overview, cluster } = useLive();
  const isReadOnly = useReadOnly();
  const version = overview?.version ?? cluster?.self.version;
  return (
    <footer>
      <span>
        ThrustMQ {version}
        {overview !== undefined && `, up ${duration(overview.uptimeMs)}`}
        {cluster !== undefined && `, node ${cluster.self.node} of ${cluster.name}`}
        {isReadOnly && ', read-only'}
      </span>
      <a href="metrics">Metrics</a>
      <a href="api/v1/openapi.json">API</a>
      <a href="dash">Snapshot</a>
    </footer>
  );
}

/** Whether news arrives; said aloud only when that changes. */
function Connection() {
  const { kind, text } = connectionWords(useLive());
  return (
    <span class={`connection ${kind}`} role="status">
      {text}
    </span>
  );
}

/** What is known about an interruption; the numbers below it stay, and are old. */
function Interruption() {
  const { phase, failures, problem, sinceMs } = useLive();
  if (phase === 'connecting' && failures >= FAILURES_SHOWN)
    return (
      <p class="banner warn" role="alert">
        The page came, but its live connection is refused. Behind a proxy: it has to pass WebSockets
        on, and the broker to be started with <code>--dashboard-allow-host {location.host}</code>.
      </p>
    );
  if (phase === 'lost') {
    const since = new Date(sinceMs).toLocaleTimeString('en-GB');
    return (
      <p class="banner bad" role="alert">
        The connection was interrupted at {since}. What you see is from before; it is tried again
        without you doing anything.
      </p>
    );
  }
  if (problem === undefined || problem.status !== 503) return null;
  return (
    <p class="banner warn" role="alert">
      {sentence(problem.detail)}.
    </p>
  );
}

/** Accepted at the start, by a flag; to be seen on every screen all the same. */
function UnsafeAcks() {
  const { cluster } = useLive();
  if (cluster === undefined || cluster.ack.safe) return null;
  return (
    <aside class="banner warn" aria-label="Weak acks">
      Acks of this cluster mean less than they should: what was acked is {cluster.ack.means}.{' '}
      <a href={hrefOf('cluster')}>Why</a>
    </aside>
  );
}

interface ThemeProps {
  theme: string;
  setTheme: (theme: string) => void;
}

function ThemeButton({ theme, setTheme }: ThemeProps) {
  const next = theme === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      aria-label={`Switch to ${next} colours`}
      title={`Switch to ${next} colours`}
      onClick={() => setTheme(next)}
    >
      <ThemeIcon isDark={theme === 'dark'} />
    </button>
  );
}

/** A sun in the dark, a moon in the light: what a press brings. */
function ThemeIcon({ isDark }: { isDark: boolean }) {
  const moon = 'M13.2 9.8A5.8 5.8 0 0 1 6.2 2.8 5.8 5.8 0 1 0 13.2 9.8Z';
  const rays =
    'M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M3 13l1.2-1.2M11.8 4.2 13 3';
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      {isDark && <circle cx="8" cy="8" r="3" />}
      <path d={isDark ? rays : moon} />
    </svg>
  );
}

/** The colours in use, `light` or `dark`: what was chosen here, else what the system has. */
function useTheme(): [string, (theme: string) => void] {
  const [chosen, choose] = useKept('theme', 'auto');
  const [isDark, setDark] = useState(DARK.matches);
  useEffect(() => {
    const changed = () => setDark(DARK.matches);
    DARK.addEventListener('change', changed);
    return () => DARK.removeEventListener('change', changed);
  }, []);
  const wanted = THEMES.includes(chosen) ? chosen : 'auto';
  const theme = wanted === 'auto' ? (isDark ? 'dark' : 'light') : wanted;
  // Before the screens below are drawn, because the charts read their colours from it.
  if (document.documentElement.dataset.theme !== theme)
    document.documentElement.dataset.theme = theme;
  return [theme, choose];
}

render(<App />, document.getElementById('page')!);
