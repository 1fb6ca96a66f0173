// One JSON request to a server that may be slow, busy, broken or hostile: time limit, retries with waiting times that the server
// may set, a limit on what is read, no way to another origin. Messages tell the server's words with the key taken out.
// Not here: who the server is and the key (address.ts), what is asked (chat.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { Address } from './address.ts';

/** Patience: time, attempts, waiting, bytes. */
export type RequestLimits = {
  /** For one attempt, from connecting to the last byte, ms. Default 120 000: vision models on one's own machine are slow. */
  readonly timeoutMs?: number;
  /** Further attempts after busy (429), broken (5xx), unreachable and timed out. Default 4. */
  readonly retries?: number;
  /** Waiting time before the first retry, ms; doubles each time. Default 1000. */
  readonly backoffMs?: number;
  /** Waiting time at most, whatever the server asks for, ms. Default 60 000. */
  readonly maxWaitMs?: number;
  /** Bytes read of a reply (unpacked) at most. Default 1 MiB. */
  readonly maxReplyBytes?: number;
  /** Told of each retry: what went wrong and how long it waits, ms. */
  readonly onRetry?: (reason: string, waitMs: number) => void;
};

/** The defaults. */
export const REQUEST_LIMITS = {
  timeoutMs: 120_000,
  retries: 4,
  backoffMs: 1000,
  maxWaitMs: 60_000,
  maxReplyBytes: 2 ** 20,
} as const satisfies RequestLimits;

/** Redirects within the origin that are followed. */
const MAX_REDIRECTS = 3;
/** Characters of a server's words in a message. */
const QUOTED = 300;

/** Limits with their defaults; UsageError for numbers that are none. */
function resolved(limits: RequestLimits): Required<Omit<RequestLimits, 'onRetry'>> {
  const all = { ...REQUEST_LIMITS, ...limits };
  const least = { timeoutMs: 1, retries: 0, backoffMs: 0, maxWaitMs: 0, maxReplyBytes: 1 };
  for (const [name, min] of Object.entries(least)) {
    const value = all[name as keyof typeof least];
    if (!Number.isInteger(value) || value < min)
      throw new UsageError(`endpoint: ${name} ${value}; allowed: whole numbers from ${min}.`);
  }
  return all;
}

/** The server answered, and what it said was no. */
export class HttpError extends DataError {
  readonly status: number;
  /** The reply, parsed where it is JSON, the key taken out. */
  readonly body: unknown;
  constructor(message: string, status: number, body: unknown) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Something that may pass: worth another attempt. */
type Transient = { readonly reason: string; readonly waitMs: number | null };

type Attempt = { readonly value: unknown } | { readonly transient: Transient };

/**
 * Sends JSON and returns the JSON that comes back. Throws HttpError for a refusal by status, DataError for whatever else
 * goes wrong, the signal's reason when it is aborted.
 */
export async function postJson(
  address: Address,
  path: string,
  body: unknown,
  signal: AbortSignal,
  limits: RequestLimits = {},
): Promise<unknown> {
  const all = resolved(limits);
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    const outcome = await tryOnce(address, path, body, signal, all);
    if ('value' in outcome) return outcome.value;
    const { reason, waitMs } = outcome.transient;
    if (attempt >= all.retries)
      throw new DataError(
        `endpoint ${address.baseUrl}: ${reason}, at ${attempt + 1} attempts. What was answered so far is kept; try again later.`,
      );
    const wait = Math.min(waitMs ?? all.backoffMs * 2 ** attempt, all.maxWaitMs);
    limits.onRetry?.(reason, wait);
    await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function tryOnce(
  address: Address,
  path: string,
  body: unknown,
  signal: AbortSignal,
  { timeoutMs, maxReplyBytes }: Required<Omit<RequestLimits, 'onRetry'>>,
): Promise<Attempt> {
  const control = new AbortController();
  const stop = () => control.abort();
  const timer = setTimeout(stop, timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const response = await send(address, path, JSON.stringify(body), control.signal);
    const text = await readLimited(response, address, maxReplyBytes);
    return judge(response, text, address);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DataError) throw error;
    const reason = control.signal.aborted
      ? `no reply within ${timeoutMs / 1000} s`
      : `cannot be reached (${address.redact(networkReason(error))})`;
    return { transient: { reason, waitMs: null } };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** Follows redirects that keep method and origin; refuses all others, since they would take image and key elsewhere. */
async function send(address: Address, path: string, body: string, signal: AbortSignal): Promise<Response> {
  let url = address.url(path);
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...address.authorisation() },
      body,
      redirect: 'manual',
      signal,
    });
    if (response.status < 300 || response.status >= 400) return response;
    await response.body?.cancel();
    const location = response.headers.get('location');
    const target = location !== null && URL.canParse(location, url) ? new URL(location, url) : null;
    const isSame = target !== null && target.origin === new URL(url).origin;
    if (!isSame || ![307, 308].includes(response.status) || redirects === MAX_REDIRECTS)
      throw new DataError(
        `endpoint ${address.baseUrl}: redirects (${response.status}) to ${address.redact(target?.origin ?? 'nowhere')}; allowed: at most ${MAX_REDIRECTS} redirects 307 or 308 within its own origin. Give the address that it means.`,
      );
    url = target.href;
  }
}

async function readLimited(response: Response, address: Address, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > maxBytes)
      throw new DataError(
        `endpoint ${address.baseUrl}: the reply is longer than ${maxBytes} bytes; allowed is no more. Is it a chat-completions server?`,
      );
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

const ADVICE: Readonly<Record<number, string>> = {
  401: 'it refuses the key',
  403: 'it refuses the key or what the key may do',
  404: 'it knows no such address or model; check the base address (with /v1) and the name of the model',
  413: 'the image is too large for it; lower its size',
};

/** Refusals that the server's own words tell, whatever the status. */
const ADVICE_BY_WORDS: readonly (readonly [words: RegExp, advice: string])[] = [
  [
    /(?=.*\b(image|multimodal|vision)\w*)(?=.*(not support|unsupported|not a multimodal|mmproj|missing data))/i,
    'this model takes no images: name a vision model, and start llama.cpp with its --mmproj file',
  ],
  [
    /(?=.*\bsystem\b)(?=.*(not support|incompatible|unsupported))/i,
    'this model takes no system message: give the instruction in the question, instructionRole user',
  ],
  [/max_completion_tokens/, 'this model wants the other name of the limit of tokens: maxTokensField'],
  [/(?=.*temperature)(?=.*unsupported)/i, 'this model allows no choice of the temperature: none'],
];

/**
 * Whether the same question may be answered later: a busy server, or a broken one. llama.cpp says by status 500 that it takes
 * no images, OpenAI by 429 that the account is empty: neither passes by waiting.
 */
function mayPass(status: number, body: unknown, words: string): boolean {
  const error = (body as { error?: { code?: unknown; type?: unknown } } | null | undefined)?.error;
  if (error?.code === 'insufficient_quota' || error?.type === 'insufficient_quota') return false;
  if (status === 408 || status === 429) return true;
  return status >= 500 && status !== 501 && !/not support|unsupported|missing data required/i.test(words);
}

function judge(response: Response, received: string, address: Address): Attempt {
  const { status } = response;
  const text = address.redact(received);
  const body = parsed(received, address);
  const words = serverWords(body) ?? '';
  if (status >= 400 && mayPass(status, body, words)) {
    const state = status < 500 ? 'is busy' : status === 503 ? 'is not ready' : 'is broken';
    return {
      transient: { reason: `${state} (${status}${saying(body, text)})`, waitMs: waitOf(response.headers) },
    };
  }
  if (status >= 400) {
    const keyFrom = address.keyVariable === null ? 'none was sent' : `it came from ${address.keyVariable}`;
    const advice = ADVICE_BY_WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? ADVICE[status];
    const hint =
      advice === undefined ? '' : ` (${advice}${status === 401 || status === 403 ? `; ${keyFrom}` : ''})`;
    throw new HttpError(
      `endpoint ${address.baseUrl}: refuses the request with status ${status}${hint}${saying(body, text)}.`,
      status,
      body,
    );
  }
  if (body === undefined)
    throw new DataError(
      `endpoint ${address.baseUrl}: the reply is no JSON${saying(body, text)}. Is it an OpenAI-compatible server, and does the base address end in /v1?`,
    );
  return { value: body };
}

/** Strings are cleared of the key after parsing: JSON can write it in many ways. */
function parsed(text: string, address: Address): unknown {
  try {
    return JSON.parse(text, (_, value) => (typeof value === 'string' ? address.redact(value) : value));
  } catch {
    return undefined;
  }
}

/**
 * What a server says went wrong: `{error: {message}}` (OpenAI, Ollama, llama.cpp, new vLLM), `{error: '…'}` (Ollama's own
 * interface), `{object: 'error', message}` (vLLM), `{detail}` (FastAPI); null where it says nothing.
 */
export function serverWords(body: unknown): string | null {
  const { error, message, detail } = (body ?? {}) as { error?: unknown; message?: unknown; detail?: unknown };
  const inner = (error as { message?: unknown } | null | undefined)?.message;
  const details = Array.isArray(detail)
    ? detail.flatMap((one: { msg?: unknown } | null) => (typeof one?.msg === 'string' ? [one.msg] : []))
    : [];
  const found = [inner, error, message, detail, details.join('; ')].find(
    (words) => typeof words === 'string' && words.trim() !== '',
  );
  return (found as string | undefined) ?? null;
}

/** The server's own words, short and on one line. */
function saying(body: unknown, text: string): string {
  const words = (serverWords(body) ?? text).replace(/[\s\p{Cc}]+/gu, ' ').trim();
  if (words === '') return '';
  return `: ${JSON.stringify(words.length > QUOTED ? `${words.slice(0, QUOTED)}…` : words)}`;
}

/** How long the server asks to wait, ms: `retry-after-ms` of OpenAI and Azure, else `Retry-After`. */
function waitOf(headers: Headers): number | null {
  const ms = headers.get('retry-after-ms')?.trim() ?? '';
  return /^\d+(\.\d+)?$/.test(ms) ? Number(ms) : retryAfterMs(headers.get('retry-after'));
}

/** `Retry-After` in seconds or as a date; null without one that can be read. */
export function retryAfterMs(header: string | null, now = Date.now()): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** What the system says; fetch hides it one or two causes deep. */
function networkReason(error: unknown): string {
  const causes: string[] = [];
  for (let at: unknown = error; at instanceof Error && causes.length < 3; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    causes.push(code ?? at.message);
  }
  return causes.at(-1) ?? 'unknown';
}
