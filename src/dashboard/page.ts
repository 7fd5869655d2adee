// The files of the live page, which the build made from src/page: read and compressed once, then
// answered from memory. They are the same for everybody and hold nothing of the broker.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { type DashboardReply, type DashboardRequest, problem, reply } from './http.ts';

const FILES: Record<string, { name: string; type: string }> = {
  '/': { name: 'index.html', type: 'text/html; charset=utf-8' },
  '/page.js': { name: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/page.css': { name: 'app.css', type: 'text/css; charset=utf-8' },
  '/page.svg': { name: 'icon.svg', type: 'image/svg+xml' },
};

/** Paths that the page is made of. */
export const PAGE_PATHS: readonly string[] = Object.keys(FILES);

/** Where the build puts them. */
export const PAGE_FOLDER = new URL('./page/', import.meta.url);

interface File {
  type: string;
  etag: string;
  /** By Content-Encoding; the best comes first, the plain text last. */
  forms: [encoding: string, bytes: Buffer][];
}

export class Page {
  readonly #folder: URL;
  readonly #files = new Map<string, File>();

  constructor(folder: URL = PAGE_FOLDER) {
    this.#folder = folder;
  }

  /** Answers for one of PAGE_PATHS. */
  answer(path: string, request: DashboardRequest): DashboardReply {
    const file = this.#file(path);
    if (file === undefined)
      return problem(503, 'the page was not built: run npm run build', 'page-missing');
    const { type, etag, forms } = file;
    const isSame = request.ifNoneMatch?.split(',').some((one) => one.trim() === etag) === true;
    const answer = reply(isSame ? 304 : 200, type, '');
    answer.headers['cache-control'] = 'no-cache'; // kept, and asked for again each time
    answer.headers.etag = etag;
    answer.headers.vary = 'Accept-Encoding';
    if (isSame) return answer;
    const accepted = (request.acceptEncoding ?? '').toLowerCase();
    const [encoding, bytes] = forms.find(([name]) => accepts(accepted, name))!;
    if (encoding !== '') answer.headers['content-encoding'] = encoding;
    answer.bytes = bytes;
    return answer;
  }

  #file(path: string): File | undefined {
    const kept = this.#files.get(path);
    if (kept !== undefined) return kept;
    const { name, type } = FILES[path]!;
    let plain: Buffer;
    try {
      plain = fs.readFileSync(new URL(name, this.#folder));
    } catch {
      return undefined;
    }
    const hash = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
    const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
    const forms: File['forms'] = [
      ['br', brotliCompressSync(plain, { params })],
      ['gzip', gzipSync(plain, { level: 9 })],
      ['', plain],
    ];
    const file = { type, etag: `W/"${hash}"`, forms };
    this.#files.set(path, file);
    return file;
  }
}

function accepts(header: string, encoding: string): boolean {
  if (encoding === '') return true;
  return header.split(',').some((part) => {
    const [name, ...options] = part.split(';').map((text) => text.trim());
    return name === encoding && !options.some((option) => /^q=0(\.0*)?$/.test(option));
  });
}
