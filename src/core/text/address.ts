// HOST:PORT as people and URLs write it; an IPv6 address stands in brackets.

export interface HostPort {
  host: string;
  port: number;
}

/** As it is written. */
export function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As it is read; undefined: the text has another shape. */
export function parseAuthority(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-zA-Z:.%_]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2]!, port };
}
