// Host and Origin headers as what they name: a host and a port, whatever the spelling. Knows which
// of them are the dashboard's own and which an operator named (--dashboard-allow-host).

import { isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';

interface Place {
  name: string;
  /** Undefined: the usual one of whatever scheme is spoken. */
  port: number | undefined;
}

const USUAL_PORTS: Record<string, number> = { http: 80, https: 443 };
const PORT_MAX = 65_535;
const WILDCARDS = ['0.0.0.0', '::'];

export interface Places {
  /** The Host header is one of the dashboard's names. */
  isOurs(host: string | undefined): boolean;
  /** The Origin header is the place of a Host header of ours, or one that the operator named. */
  isTrusted(origin: string, host: string | undefined): boolean;
}

/**
 * What a dashboard is called. A page that rebinds its own name to our address sends its name, so
 * names are taken from a list only; on a wildcard address any plain IP address is fine, because
 * nobody can rebind one. `allowed`: NAME or NAME:PORT, as an operator wrote it.
 */
export function createPlaces(bound: string, allowed: readonly string[]): Places {
  const own = canonicalName(bound);
  const further = allowed.map(allowedPlace).filter((place) => place !== undefined);
  const names = new Set(['localhost', '127.0.0.1', '::1', ...further.map(({ name }) => name)]);
  if (own !== undefined) names.add(own);
  const isWildcard = own !== undefined && WILDCARDS.includes(own);
  const placeOfOurs = (host: string | undefined): Place | undefined => {
    const place = parsePlace(host);
    if (place === undefined || names.has(place.name)) return place;
    return isWildcard && isIP(place.name) !== 0 ? place : undefined;
  };
  return {
    isOurs: (host) => placeOfOurs(host) !== undefined,
    isTrusted: (header, host) => {
      const [, scheme, rest] = /^(https?):\/\/(.+)$/i.exec(header) ?? [];
      const origin = parsePlace(rest);
      if (scheme === undefined || origin === undefined) return false;
      const usual = USUAL_PORTS[scheme.toLowerCase()]!;
      const isAt = (place: Place) =>
        place.name === origin.name && (place.port ?? usual) === (origin.port ?? usual);
      const here = placeOfOurs(host);
      // A proxy may ask with its own Host; a name of the list is then where the browser is.
      return (here !== undefined && isAt(here)) || further.some(isAt);
    },
  };
}

// Strict: what is no plain name or address with a port, such as user@host or a list, is nothing.
function parsePlace(text: string | undefined): Place | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i.exec(text ?? '');
  if (match === null) return undefined;
  const [, address, plain, digits] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && port > PORT_MAX) return undefined;
  if (address !== undefined && !isIPv6(address)) return undefined;
  const name = canonicalName(address ?? plain!);
  return name === undefined ? undefined : { name, port };
}

// What an operator writes may hold letters of any script, and an IPv6 address without brackets.
function allowedPlace(text: string): Place | undefined {
  const bare = canonicalName(text);
  if (bare !== undefined && isIPv6(bare)) return { name: bare, port: undefined };
  const [, name = text, port = ''] = /^(.*?)(:\d{1,5})?$/.exec(text) ?? [];
  return parsePlace(text) ?? parsePlace(domainToASCII(name) + port);
}

/** A name or address in the one spelling that is compared; undefined where nothing is left. */
function canonicalName(text: string): string | undefined {
  const bare = text.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  if (isIPv6(bare) && !bare.includes('%')) return new URL(`http://[${bare}]`).hostname.slice(1, -1);
  // mq.example. is mq.example, said absolutely.
  return bare.replace(/\.$/, '') || undefined;
}
