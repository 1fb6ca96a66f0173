import { inspect } from 'node:util';
import { UsageError } from '@maskrank/torch/errors';
import { describe, expect, it } from 'vitest';
import { Address } from '../../../src/prompting/text/address.ts';
import { leavesMachine, privacyOfMachine, privacyStatement } from '../../../src/prompting/text/privacy.ts';

const KEY = 'sk-very/secret+key=0123456789';
const at = (baseUrl: string, more: object = {}) => new Address({ baseUrl, environment: {}, ...more });

describe('addresses', () => {
  it.each([
    'http://localhost:11434/v1',
    'http://127.0.0.1:8000/v1',
    'http://[::1]:8000/v1',
    'http://10.1.2.3/v1',
    'http://172.31.0.9:8000',
    'http://192.168.1.20:8000/v1',
    'http://[fd00::1]/v1',
    'http://box.localhost/v1',
    'https://api.example.org/v1/',
  ])('%s is allowed', (url) => {
    expect(at(url).url('chat/completions')).toBe(`${url.replace(/\/$/, '')}/chat/completions`);
  });

  it.each([
    'http://api.example.org/v1',
    'http://8.8.8.8/v1',
    'http://172.32.0.1/v1',
    'http://11.0.0.1/v1',
    'http://localhost.example.org/v1',
    'http://[2001:db8::1]/v1',
  ])('%s needs TLS or permission', (url) => {
    expect(() => at(url)).toThrow('without TLS');
    expect(at(url, { allowInsecure: true }).isLocal).toBe(false);
  });

  it('are web addresses without user, password, query or fragment, and the message repeats none of them', () => {
    for (const url of ['ftp://x/v1', 'nonsense', '']) expect(() => at(url)).toThrow('no http(s) address');
    for (const url of [
      'https://me:hunter22@example.org/v1',
      'https://example.org/v1?key=hunter22',
      'https://example.org/v1#hunter22',
    ]) {
      expect(() => at(url)).toThrow(UsageError);
      expect(() => at(url)).not.toThrow('hunter22');
    }
  });
});

describe('the key', () => {
  it('comes from the named variable, which must be set', () => {
    const environment = { MINE: ` ${KEY}\n`, MASKRANK_API_KEY: 'other-key-123' };
    const address = at('https://example.org/v1', { keyVariable: 'MINE', environment });
    expect(address.authorisation()).toEqual({ authorization: `Bearer ${KEY}` });
    expect(address.keyVariable).toBe('MINE');
    expect(() => at('https://example.org/v1', { keyVariable: 'ABSENT', environment })).toThrow(
      'the environment variable ABSENT is empty or not set',
    );
  });

  it("is MASKRANK_API_KEY by default; OpenAI's goes to OpenAI alone", () => {
    const ours = { MASKRANK_API_KEY: KEY, OPENAI_API_KEY: 'openai-key-123' };
    expect(at('https://example.org/v1', { environment: ours }).keyVariable).toBe('MASKRANK_API_KEY');
    const theirs = { OPENAI_API_KEY: 'openai-key-123' };
    expect(at('https://api.openai.com/v1', { environment: theirs }).keyVariable).toBe('OPENAI_API_KEY');
    for (const url of [
      'https://example.org/v1',
      'http://localhost:1/v1',
      'https://api.openai.com.evil.org/v1',
    ])
      expect(at(url, { environment: theirs }).authorisation()).toEqual({});
  });

  it('is refused without being shown where no header can carry it', () => {
    const refuse = () =>
      at('https://example.org/v1', { environment: { MASKRANK_API_KEY: 'abc\ndef-geheim' } });
    expect(refuse).toThrow(UsageError);
    expect(refuse).not.toThrow('geheim');
  });

  it('shows in no print, no JSON and no property', () => {
    const address = at('https://example.org/v1', { environment: { MASKRANK_API_KEY: KEY } });
    const seen = [inspect(address, { depth: 9, showHidden: true }), JSON.stringify(address), String(address)];
    seen.push(JSON.stringify(Object.entries(address)), JSON.stringify({ ...address }));
    for (const text of seen) expect(text).not.toContain('secret');
  });

  it('is taken out of texts in every usual form', () => {
    const address = at('https://example.org/v1', { environment: { MASKRANK_API_KEY: KEY } });
    const forms = [
      KEY,
      encodeURIComponent(KEY),
      Buffer.from(KEY).toString('base64'),
      Buffer.from(KEY).toString('base64url'),
    ];
    for (const form of forms) expect(address.redact(`a ${form}, b`)).toBe('a [key], b');
    const short = at('https://example.org/v1', { environment: { MASKRANK_API_KEY: 'none' } });
    expect(short.redact('nonetheless none')).toBe('nonetheless [key]');
  });
});

describe('what is said about privacy', () => {
  it('tells of a key, never which', () => {
    expect(privacyOfMachine({ MASKRANK_API_KEY: KEY })).toContain('(MASKRANK_API_KEY: set)');
    expect(privacyOfMachine({ MASKRANK_API_KEY: KEY })).not.toContain('secret');
    expect(privacyOfMachine({})).toContain('(MASKRANK_API_KEY: not set)');
  });

  it('names what goes where', () => {
    expect(privacyStatement({})).toBe('Nothing leaves this machine: no endpoint is in use.');
    const local = { answers: 'http://localhost:11434/v1', knowledge: null };
    expect(leavesMachine(local)).toBe(false);
    expect(privacyStatement(local)).toBe(
      'Nothing leaves this machine: pixels of the images and questions go to http://localhost:11434/v1 on this machine.',
    );
    const away = { answers: 'http://10.0.0.7/v1', knowledge: 'https://api.openai.com/v1' };
    expect(leavesMachine(away)).toBe(true);
    expect(privacyStatement(away)).toBe(
      'Data leave this machine: pixels of the images and questions go to http://10.0.0.7/v1; names of classes and modality go to https://api.openai.com/v1.',
    );
  });
});
