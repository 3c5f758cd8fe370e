/**
 * A server that answers as the Hugging Face hub does, with its LFS files on a second port as on its CDN, and
 * misbehaves on demand. Written after what huggingface_hub 2.4.0 asks for and expects.
 */
import { createHash } from 'node:crypto';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubRepository {
  readonly id: string;
  readonly commit: string;
  /** what stands where: branch or tag and its commit; the commit itself is always known */
  readonly references: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, Buffer>>;
}

/** One request as it came. */
export interface Asked {
  readonly where: 'hub' | 'cdn';
  readonly method: string;
  /** file of the repository, or the path of another request */
  readonly name: string;
  readonly range?: string;
  readonly authorization?: string;
  /** how many requests of this method for this name came here before */
  readonly before: number;
}

/** Answers a request itself and returns true, or leaves it to the server. */
export type Misbehaviour = (asked: Asked, response: http.ServerResponse, content: Buffer) => boolean;

export interface Hub {
  readonly endpoint: string;
  readonly asked: Asked[];
  misbehave: Misbehaviour;
  /** the only token that may read, where one is needed */
  token?: string;
  close(): Promise<void>;
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
export const isLarge = (name: string): boolean => name.endsWith('.safetensors') || name.endsWith('.bin');

export async function startHub(repository: HubRepository): Promise<Hub> {
  const asked: Asked[] = [];
  const note = (where: 'hub' | 'cdn', request: http.IncomingMessage, name: string): Asked => {
    const method = request.method ?? '';
    const { range, authorization } = request.headers;
    const before = asked.filter((one) => one.where === where && one.method === method && one.name === name).length;
    asked.push({ where, method, name, range, authorization, before });
    return asked[asked.length - 1];
  };
  const cdn = http.createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '').slice(1).split('?')[0]);
    const content = repository.files[name];
    const one = note('cdn', request, name);
    if (!hub.misbehave(one, response, content)) sendFile(response, content, one);
  });
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://hub');
    const resolved = url.pathname.match(new RegExp(`^/${repository.id}/resolve/([^/]+)/(.+)$`));
    const name = resolved ? decodeURIComponent(resolved[2]) : decodeURIComponent(url.pathname);
    const one = note('hub', request, name);
    if (hub.misbehave(one, response, repository.files[name])) return;
    if (hub.token !== undefined && one.authorization !== `Bearer ${hub.token}`) {
      return refuse(response, 401, 'RepoNotFound');
    }
    if (resolved) return answerFile(response, repository, resolved[1], one, `http://127.0.0.1:${portOf(cdn)}`);
    answerApi(response, repository, decodeURIComponent(url.pathname));
  });
  await Promise.all([server, cdn].map((one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))));
  const hub: Hub = {
    endpoint: `http://127.0.0.1:${portOf(server)}`,
    asked,
    misbehave: () => false,
    async close() {
      for (const one of [server, cdn]) {
        one.closeAllConnections();
        await new Promise((resolve) => one.close(resolve));
      }
    },
  };
  return hub;
}

const portOf = (server: http.Server): number => (server.address() as AddressInfo).port;

export function refuse(response: http.ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'x-error-code': code }).end();
}

function answerApi(response: http.ServerResponse, { id, commit, references, files }: HubRepository, path: string): void {
  const [, name, kind, revision] = /^\/api\/models\/(.+?)\/(revision|tree)\/(.+)$/.exec(path) ?? [];
  if (name !== id) return refuse(response, 404, 'RepoNotFound');
  const wanted = revision === commit ? commit : references[revision];
  if (wanted !== commit) return refuse(response, 404, 'RevisionNotFound');
  const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
  const tree = Object.entries(files).map(([path, bytes]) => ({
    type: 'file', path, size: bytes.length, oid: gitSha1(bytes),
    ...(isLarge(path) ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } } : {}),
  }));
  const value = kind === 'revision' ? { _id: '1', id, sha: commit, siblings } : tree;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

function answerFile(
  response: http.ServerResponse, { commit, references, files }: HubRepository, revision: string, asked: Asked, cdn: string,
): void {
  const content = files[asked.name];
  if (revision !== commit && references[revision] !== commit) return refuse(response, 404, 'RevisionNotFound');
  if (content === undefined) return refuse(response, 404, 'EntryNotFound');
  response.setHeader('x-repo-commit', commit);
  if (!isLarge(asked.name)) {
    response.setHeader('etag', `"${gitSha1(content)}"`);
    return sendFile(response, content, asked);
  }
  response.writeHead(302, {
    etag: '"of the redirect"', 'x-linked-etag': `"${sha256(content)}"`, 'x-linked-size': content.length,
    location: `${cdn}/${asked.name}?signature=secret`,
  }).end();
}

/** The bytes, or those that the range asks for. */
export function sendFile(response: http.ServerResponse, content: Buffer, { method, range }: Pick<Asked, 'method' | 'range'>): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  if (range !== undefined && from >= content.length) {
    return void response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
  }
  const rest = content.subarray(from);
  const headers = { 'content-length': rest.length, 'accept-ranges': 'bytes' };
  if (range === undefined) response.writeHead(200, headers);
  else {
    const extent = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(206, { ...headers, 'content-range': extent });
  }
  response.end(method === 'HEAD' ? undefined : rest);
}

/** Promise the whole file, send so many of its bytes, and cut the connection. */
export function cutAfter(response: http.ServerResponse, content: Buffer, asked: Asked, bytes: number): void {
  const from = Number(/^bytes=(\d+)-$/.exec(asked.range ?? '')?.[1] ?? 0);
  const range = `bytes ${from}-${content.length - 1}/${content.length}`;
  response.writeHead(from > 0 ? 206 : 200, {
    'content-length': content.length - from, ...(from > 0 ? { 'content-range': range } : {}),
  });
  response.write(content.subarray(from, from + bytes), () => response.destroy());
}
