// Where an endpoint is and which key it gets: what is allowed is decided here, before a byte leaves. The key comes from an
// environment variable alone and stays in this object: it is no property, prints as nothing, and is taken out of every text
// that came from outside.

import { BlockList, isIP } from 'node:net';
import { inspect } from 'node:util';
import { UsageError } from '@maskrank/torch/errors';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a key is looked for when no variable is named. */
export const KEY_VARIABLE = 'MASKRANK_API_KEY';
/** OpenAI's own variable is read for OpenAI's own host only: its key is no other server's business. */
const OPENAI = { variable: 'OPENAI_API_KEY', host: 'api.openai.com' } as const;

/** Shorter keys are placeholders such as `none`; they are taken out of texts as whole words only. */
const SECRET_LENGTH = 8;

/** Where an endpoint is, and the environment variable that holds its key. */
export type AddressOptions = {
  /** Up to and without `/chat/completions`: `https://api.openai.com/v1`, `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  /**
   * Environment variable that holds the key; it must be set then. Default: `MASKRANK_API_KEY`, for api.openai.com also
   * `OPENAI_API_KEY`; with neither set no key is sent, as servers on one's own machine want it.
   */
  readonly keyVariable?: string | null;
  /** Allows `http://` to hosts outside this machine and private networks: images and key then travel readable. Default false. */
  readonly allowInsecure?: boolean;
  /** Default: the process's environment. */
  readonly environment?: Environment;
};

const PRIVATE = new BlockList();
for (const [net, bits] of [
  ['10.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  PRIVATE.addSubnet(net, bits, 'ipv4');
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');
PRIVATE.addAddress('::1', 'ipv6');

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

function isListed(list: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && list.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

const isLocalhost = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');

/** Whether an address is this machine: what is sent there does not leave it. */
export function isThisMachine(url: URL): boolean {
  return isLocalhost(bareHost(url)) || isListed(LOOPBACK, bareHost(url));
}

/** Whether an address is this machine or a private network's, by its numbers; names other than localhost are not looked up. */
function isPrivate(url: URL): boolean {
  return isLocalhost(bareHost(url)) || isListed(PRIVATE, bareHost(url));
}

/** A checked address with its key. */
export class Address {
  /** As it goes into records: without a key, a user or a query. */
  readonly baseUrl: string;
  readonly isLocal: boolean;
  /** The variable that the key came from; null where none is sent. */
  readonly keyVariable: string | null;
  readonly #key: string | null;

  constructor(options: AddressOptions) {
    const url = checkedUrl(options);
    this.baseUrl = url.href.replace(/\/+$/, '');
    this.isLocal = isThisMachine(url);
    const found = findKey(url, options);
    this.keyVariable = found?.variable ?? null;
    this.#key = found?.key ?? null;
  }

  /** The address of something below the base: `url('chat/completions')`. */
  url(path: string): string {
    return `${this.baseUrl}/${path}`;
  }

  /** The header that carries the key, for the request and nothing else. */
  authorisation(): Record<string, string> {
    return this.#key === null ? {} : { authorization: `Bearer ${this.#key}` };
  }

  /** A text from outside with the key taken out, should it repeat it. */
  redact(text: string): string {
    if (this.#key === null) return text;
    const forms = new Set([
      this.#key,
      encodeURIComponent(this.#key),
      JSON.stringify(this.#key).slice(1, -1),
      Buffer.from(this.#key).toString('base64'),
      Buffer.from(this.#key).toString('base64url'),
    ]);
    return [...forms].reduce(
      (rest, form) =>
        this.#key!.length >= SECRET_LENGTH
          ? rest.replaceAll(form, '[key]')
          : rest.replace(new RegExp(`(?<![\\w-])${escaped(form)}(?![\\w-])`, 'g'), '[key]'),
      text,
    );
  }

  toJSON(): { baseUrl: string; keyVariable: string | null } {
    return { baseUrl: this.baseUrl, keyVariable: this.keyVariable };
  }
  [inspect.custom](): string {
    return `Address(${this.baseUrl})`;
  }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function checkedUrl({ baseUrl, allowInsecure = false }: AddressOptions): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new UsageError(
      `endpoint: the address is no http(s) address; it looks like https://api.openai.com/v1 or http://localhost:11434/v1.`,
    );
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new UsageError(
      `endpoint ${url.origin}: the address holds a user, a password, a query or a fragment; it goes into records. Give scheme, host and path; put the key into the environment variable ${KEY_VARIABLE}.`,
    );
  if (url.protocol === 'http:' && !isPrivate(url) && !allowInsecure)
    throw new UsageError(
      `endpoint ${url.origin}: without TLS images and key travel readable. Allowed over http are localhost and private addresses (10.x, 172.16-31.x, 192.168.x, fc00::/7); give https, or allow it explicitly.`,
    );
  return url;
}

function findKey(
  url: URL,
  { keyVariable = null, environment = process.env }: AddressOptions,
): { variable: string; key: string } | null {
  const defaults = url.host === OPENAI.host ? [KEY_VARIABLE, OPENAI.variable] : [KEY_VARIABLE];
  for (const variable of keyVariable === null ? defaults : [keyVariable]) {
    const key = environment[variable]?.trim() ?? '';
    if (key === '') continue;
    if (!/^[\x21-\x7e]+$/.test(key))
      throw new UsageError(
        `endpoint ${url.origin}: the key in ${variable} holds characters that no header carries (white space, line ends or non-ASCII). Set it anew.`,
      );
    return { variable, key };
  }
  if (keyVariable === null) return null;
  throw new UsageError(
    `endpoint ${url.origin}: the environment variable ${keyVariable} is empty or not set; it shall hold the key.`,
  );
}
