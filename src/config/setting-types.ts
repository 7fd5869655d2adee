// Of what kinds settings are, and how one is annotated with its default and its help.

import { isIPv6 } from 'node:net';
import * as z from 'zod';
import { parseDuration, parseSize } from '../core/text/units.ts';
import { canonicalHost } from './address.ts';

/** What a setting's annotation says about it, beside its type. */
export interface SettingMeta {
  description: string;
  /** Placeholder of the flag's value; a setting without one is a switch. */
  arg?: string;
  /** Default as a person would write it; undefined = depends on other settings, see help. */
  fallback?: string | number | boolean | readonly string[];
  /** The flag may be given several times, the file may hold a list. */
  repeatable?: boolean;
  /** Rarely needed: in the documentation and in `serve --help`, at the end. */
  advanced?: boolean;
}

export const number = (min: number, max: number) =>
  z.union([z.number(), z.string()]).transform((raw, context) => {
    const value = typeof raw === 'string' && /^\s*\d+\s*$/.test(raw) ? Number(raw) : raw;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max)
      return value;
    return fail(context, `must be a whole number from ${min} to ${max}, not "${raw}"`);
  });

export const boolean = z.union([z.boolean(), z.string()]).transform((raw, context) => {
  const word = String(raw).trim().toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(word)) return true;
  if (['false', '0', 'no', 'off'].includes(word)) return false;
  return fail(context, `must be true or false, not "${raw}"`);
});

export const text = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  // Where bytes are not UTF-8, Node.js puts this character: the path would be that of another file.
  .refine((raw) => raw.isWellFormed() && !raw.includes('\ufffd'), {
    error: 'must be UTF-8; it holds bytes that are not',
  });

/** A name or an address; an IPv6 address may stand in brackets. */
export const host = text.transform(canonicalHost).refine((raw) => !/[[\]/\s]/.test(raw), {
  error: 'must be a name or an address without a port (IPv6: ::1 or [::1])',
});

/** What a Host header may hold; an address with a scheme, or a pattern, never stands there. */
export const hostName = text.refine((name) => {
  if (isIPv6(name)) return true;
  const match = /^(?:[^\s/@?#*:[\]]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i.exec(name);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}, 'must be NAME or NAME:PORT, such as mq.example.com:8443, without a scheme or a path');

/** Long enough that nobody guesses it, and fit for a header. */
export const token = z.string().regex(/^[\x21-\x7e]{16,256}$/, {
  error: 'must have 16 to 256 characters without spaces',
});

export const parsed = <T>(parse: (raw: string | number) => T) =>
  z.union([z.number(), z.string()]).transform((raw, context) => {
    try {
      return parse(raw);
    } catch (error) {
      return fail(context, (error as Error).message);
    }
  });

export const size = parsed((raw) => parseSize(String(raw)));
export const duration = parsed((raw) => parseDuration(String(raw)));

/** The environment writes a list with spaces or semicolons between the entries. */
const split = (raw: unknown): unknown =>
  typeof raw === 'string' ? raw.split(/[\s;]+/).filter((part) => part !== '') : raw;
export const listOf = <T extends z.ZodType>(item: T) => z.preprocess(split, z.array(item));

/** Refuses a value. */
export function fail(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/** Annotates a type with its default and help. The default passes the same checks as any value. */
export function setting<T extends z.ZodType>(type: T, meta: SettingMeta) {
  return type.prefault(meta.fallback as never).meta(meta as unknown as Record<string, unknown>);
}

/** The same for a setting whose default follows from other settings. */
export function derived<T extends z.ZodType>(type: T, meta: SettingMeta) {
  return type.optional().meta(meta as unknown as Record<string, unknown>);
}

/** A default as it would be written: `64KiB`. */
export function sizeText(bytes: number): string {
  if (bytes % 1024 ** 2 === 0) return `${bytes / 1024 ** 2}MiB`;
  return bytes % 1024 === 0 ? `${bytes / 1024}KiB` : `${bytes}`;
}

/** A default as it would be written: `900ms`, `5s`. */
export function durationText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
