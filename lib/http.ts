/** Requests that are patient with servers and lines that fail, and careful with tokens. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Source {
  readonly url: string;
  /** sent to the host of `url`, never to one that it redirects to */
  readonly token?: string;
}

export interface Patience {
  readonly signal?: AbortSignal;
  /** attempts in a row that bring nothing new before giving up; default 5 */
  readonly attempts?: number;
  /** longest silence of the server, in seconds; default 60 */
  readonly seconds?: number;
  /** what the user can do where nothing helps, the end of the error */
  readonly mend?: string;
  /** told, in words for people, that an attempt failed and another one follows */
  readonly onNote?: (note: string) => void;
  /** how the pauses between attempts are spent; tests need none */
  readonly wait?: (milliseconds: number, signal?: AbortSignal) => Promise<unknown>;
}

/** Longest pause that a server can ask for with Retry-After, in seconds. */
const LONGEST_PAUSE = 300;
const MOST_REDIRECTS = 10;

/**
 * Ask for something small (GET) or for headers alone (HEAD). The answer may have any status but those that pass
 * (408, 429, 5xx), which are tried again as a missing answer is. Redirects are followed up to one that `until`
 * accepts. Throws with the address.
 */
export async function request(
  source: Source, method: 'GET' | 'HEAD', patience: Patience = {}, until?: (response: Response) => boolean,
): Promise<Response> {
  return patiently(async () => {
    const silence = watchSilence(patience);
    try {
      const outcome = await ask(source, { method, signal: silence.signal }, until);
      // The body is read under the same watch; nobody asks for a large one this way.
      if ('failure' in outcome || method === 'HEAD') return outcome;
      const { status, statusText, headers } = outcome.value;
      const body = await outcome.value.arrayBuffer().catch((error: Error) => error);
      if (body instanceof Error) return { failure: noAnswer(source, body) };
      return { value: new Response([204, 304].includes(status) ? null : body, { status, statusText, headers }) };
    } finally {
      silence.end();
    }
  }, patience);
}

/** Of one attempt: a value, or a failure that may pass. */
export type Outcome<T> =
  | { readonly value: T }
  | { readonly failure: Error; readonly afterSeconds?: number; readonly progressed?: boolean };

/** Attempt again, after growing pauses or those that the server asks for, until it succeeds or seems hopeless. */
export async function patiently<T>(attempt: () => Promise<Outcome<T>>, patience: Patience): Promise<T> {
  const { signal, attempts = 5, mend, onNote, wait = pause } = patience;
  for (let failures = 0; ;) {
    signal?.throwIfAborted();
    const outcome = await attempt();
    if ('value' in outcome) return outcome.value;
    signal?.throwIfAborted();
    const { failure, afterSeconds, progressed } = outcome;
    failures = progressed ? 1 : failures + 1;
    if (failures >= attempts) {
      throw mend === undefined ? failure : new Error(`${failure.message}; mend: ${mend}`, { cause: failure });
    }
    const seconds = Math.min(afterSeconds ?? 2 ** (failures - 1), LONGEST_PAUSE);
    onNote?.(`${failure.message}; trying again in ${seconds} s`);
    await wait(seconds * 1000, signal);
  }
}

/** Ends early when aborted; who waits looks at the signal then. */
const pause = (milliseconds: number, signal?: AbortSignal): Promise<unknown> =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined);

interface Watch {
  readonly signal: AbortSignal;
  /** something was heard */
  heard(): void;
  end(): void;
}

/** A signal that aborts with `signal`, and when nothing is heard for so many seconds. */
export function watchSilence({ signal, seconds = 60 }: Patience): Watch {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`timeout: silent for ${seconds} s`)), seconds * 1000);
  // Not AbortSignal.any: Node 20 may collect what it makes before it aborts.
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  return {
    signal: controller.signal,
    heard: () => void timer.refresh(),
    end: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    },
  };
}

/** One request, followed through its redirects. Throws where a redirect leads nowhere one may go. */
export async function ask(
  { url, token }: Source, init: RequestInit, until?: (response: Response) => boolean,
): Promise<Outcome<Response>> {
  let at = new URL(url);
  let home = true;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const headers = new Headers(init.headers);
    // Lengths and ranges count the bytes of the file, not those of a compressed form.
    headers.set('accept-encoding', 'identity');
    if (token !== undefined && home) headers.set('authorization', `Bearer ${token}`);
    const response = await fetch(at, { ...init, headers, redirect: 'manual' }).catch((error: Error) => error);
    if (response instanceof Error) return { failure: noAnswer({ url }, response) };
    const { status, statusText } = response;
    const location = response.headers.get('location');
    if (location !== null && status >= 300 && status < 400 && !until?.(response)) {
      await response.body?.cancel();
      at = redirected(url, at, location);
      home &&= at.origin === new URL(url).origin;
      continue;
    }
    if (status !== 408 && status !== 429 && status < 500) return { value: response };
    await response.body?.cancel();
    const failure = new Error(`${url}: expected status 200, found ${status} ${statusText}`);
    return { failure, afterSeconds: retryAfter(response) };
  }
  throw new Error(`${url}: expected an answer, found more than ${MOST_REDIRECTS} redirects`);
}

function redirected(url: string, from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to?.protocol === 'https:' || (to?.protocol === 'http:' && from.protocol === 'http:')) return to;
  throw new Error(`${url}: expected a redirect to https, found one to ${to?.protocol ?? 'no address'}`);
}

/** The seconds of a Retry-After header: a number of them, or a date. */
function retryAfter(response: Response): number | undefined {
  const text = response.headers.get('retry-after')?.trim() ?? '';
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds));
}

function noAnswer({ url }: Source, error: Error): Error {
  const why = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
  return new Error(`${url}: no answer (${why})`, { cause: error });
}
