import { inspect } from 'node:util';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { ChatClient, type ChatOptions } from '../../../src/prompting/text/chat.ts';
import { retryAfterMs } from '../../../src/prompting/text/http.ts';
import { UnansweredError } from '../../../src/prompting/text/unanswered.ts';
import { json, type Reply, says, serve, type TestServer } from './server.ts';

const KEY = 'sk-test-0123456789-secret/+';
const open: TestServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

type Asked = {
  server: TestServer;
  ask: (signal?: AbortSignal) => ReturnType<ChatClient['ask']>;
  waits: number[];
};

async function client(replies: Reply[], more: Partial<ChatOptions> = {}): Promise<Asked> {
  const server = await serve(...replies);
  open.push(server);
  const waits: number[] = [];
  const chat = new ChatClient({
    baseUrl: server.baseUrl,
    model: 'm',
    environment: { MASKRANK_API_KEY: KEY },
    ...more,
    limits: { backoffMs: 1, retries: 2, ...more.limits, onRetry: (_, wait) => waits.push(wait) },
  });
  const ask = (signal = new AbortController().signal) =>
    chat.ask([{ role: 'user', content: 'Where?' }], signal);
  return { server, ask, waits };
}

/** The error of a question; it must not hold the key anywhere. */
async function failure(asked: Asked): Promise<Error> {
  const error = await asked.ask().then(
    () => new Error('no failure'),
    (thrown: unknown) => thrown as Error,
  );
  const everything = `${error.message} ${error.stack} ${inspect(error, { depth: 9, showHidden: true })}`;
  expect(everything).not.toContain(KEY);
  expect(everything).not.toContain('secret');
  return error;
}

describe('a question', () => {
  it('is sent as chat completions expect it, and the answer comes back tidied', async () => {
    const { server, ask } = await client([says('  Oval,\n\n upper\u0007 left. ')]);
    expect(await ask()).toEqual({
      text: 'Oval, upper left.',
      servedModel: 'small-vision',
      finish: 'stop',
      cutCharacters: 0,
    });
    const [request] = server.received;
    expect(request?.url).toBe('/v1/chat/completions');
    expect(request?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(request?.body).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Where?' }],
      max_tokens: 200,
      temperature: 0,
      stream: false,
    });
  });

  it('goes without a key where none is set, and with the names that newer models want', async () => {
    const more = {
      environment: {},
      temperature: null,
      maxTokensField: 'max_completion_tokens',
      maxTokens: 9,
    } as const;
    const { server, ask } = await client([says('Yes.')], more);
    await ask();
    expect(server.received[0]?.headers.authorization).toBeUndefined();
    expect(server.received[0]?.body).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Where?' }],
      max_completion_tokens: 9,
      stream: false,
    });
  });

  it('takes content in parts, and cuts endless answers', async () => {
    const parts = await client([
      says([
        { type: 'text', text: 'Oval.' },
        { type: 'text', text: 'Left.' },
      ]),
    ]);
    expect((await parts.ask()).text).toBe('Oval. Left.');
    const long = await client([says('x'.repeat(5000))]);
    const { text, cutCharacters } = await long.ask();
    expect([text.length, cutCharacters]).toEqual([4000, 1000]);
  });
});

describe('attempts', () => {
  it('are made again while the server is busy, broken or silent', async () => {
    const gone: Reply = (_, response) => response.destroy();
    const { server, ask, waits } = await client(
      [json('busy', 429), json('broken', 503), gone, says('Oval.')],
      {
        limits: { retries: 3 },
      },
    );
    expect((await ask()).text).toBe('Oval.');
    expect(server.received).toHaveLength(4);
    expect(waits).toEqual([1, 2, 4]);
  });

  it('end, with the last reason', async () => {
    const asked = await client([json({ error: { message: 'overloaded' } }, 503)]);
    const error = await failure(asked);
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toContain('is not ready (503: "overloaded"), at 3 attempts');
    expect(asked.server.received).toHaveLength(3);
  });

  it('wait as long as the server asks, within the limit', async () => {
    const { ask, waits } = await client(
      [json('', 429, { 'retry-after': '0' }), json('', 503, { 'retry-after': '3600' }), says('Oval.')],
      { limits: { maxWaitMs: 5, backoffMs: 3 } },
    );
    await ask();
    expect(waits).toEqual([0, 5]);
  });

  it('are not made again after a plain no', async () => {
    for (const status of [400, 401, 403, 404, 413, 422]) {
      const asked = await client([json({ error: { message: 'no such thing' } }, status)]);
      const error = await failure(asked);
      expect(error.message).toContain(`status ${status}`);
      expect(error.message).toContain('no such thing');
      expect(asked.server.received).toHaveLength(1);
    }
    expect((await failure(await client([json('', 401)]))).message).toContain('it came from MASKRANK_API_KEY');
    expect((await failure(await client([json('', 401)], { environment: {} }))).message).toContain(
      'none was sent',
    );
  });

  it('end after the time limit, also while the body trickles', async () => {
    const silent: Reply = () => {};
    const slow: Reply = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"choices":');
    };
    for (const reply of [silent, slow]) {
      const asked = await client([reply], { limits: { timeoutMs: 40, retries: 1 } });
      expect((await failure(asked)).message).toContain('no reply within 0.04 s, at 2 attempts');
    }
  });

  it('end at once when the work is stopped, in a request and between two', async () => {
    const reason = new Error('stopped by a person');
    for (const reply of [(() => {}) as Reply, json('', 503, { 'retry-after': '30' })]) {
      const { ask } = await client([reply], { limits: { retries: 5 } });
      const control = new AbortController();
      setTimeout(() => control.abort(reason), 60);
      const start = performance.now();
      await expect(ask(control.signal)).rejects.toBe(reason);
      expect(performance.now() - start).toBeLessThan(3000);
    }
    const { ask, server } = await client([says('Oval.')]);
    await expect(ask(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(server.received).toHaveLength(0);
  });

  it('fail clearly where nobody listens', async () => {
    const asked = await client([says('Oval.')]);
    await asked.server.close();
    expect((await failure(asked)).message).toContain('cannot be reached (ECONNREFUSED)');
  });

  it('need limits that are whole numbers', async () => {
    const asked = await client([says('Oval.')], { limits: { timeoutMs: 0.5 } });
    expect(await failure(asked)).toBeInstanceOf(UsageError);
  });
});

describe('replies that are none', () => {
  it.each([
    ['<html>welcome</html>', 'the reply is no JSON: "<html>welcome</html>"'],
    ['', 'the reply is no JSON'],
    ['null', 'the reply lacks choices[0].message'],
    ['[]', 'the reply lacks choices[0].message'],
    ['{"choices":[]}', 'the reply lacks choices[0].message'],
    ['{"error":{"message":"bad model"}}', 'it says: bad model'],
    ['{"choices":[{"message":{}}]}', 'the reply lacks choices[0].message.content'],
    [
      '{"choices":[{"message":{"content":[{"type":"image"}]}}]}',
      'the reply lacks choices[0].message.content',
    ],
    ['{"choices":[{"message":{"content":""},"finish_reason":"length"}]}', 'its tokens ran out'],
  ])('%s', async (body, message) => {
    const error = await failure(await client([json(body)]));
    expect(error).toBeInstanceOf(DataError);
    expect(error).not.toBeInstanceOf(UnansweredError);
    expect(error.message).toContain(message);
  });

  it('are read no further than the limit', async () => {
    let sent = 0;
    const endless: Reply = (_, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && sent < 2 ** 28) {
          sent += 2 ** 16;
          if (!response.write(' '.repeat(2 ** 16))) break;
        }
      };
      response.on('drain', more);
      more();
    };
    const error = await failure(await client([endless]));
    expect(error.message).toContain('the reply is longer than 1048576 bytes');
    expect(sent).toBeLessThan(2 ** 26);
  });
});

describe('questions that the model declines', () => {
  it.each([
    [
      'refusal',
      says(null, {}, { refusal: 'I cannot help with\nthat.' }),
      'refused: I cannot help with that.',
    ],
    ['content filter', says('partial', { finish_reason: 'content_filter' }), 'content filter'],
    [
      'filter by status',
      json({ error: { code: 'content_filter', message: 'filtered' } }, 400),
      'content filter',
    ],
    ['no words', says('  \n '), 'empty answer'],
    ['null', says(null), 'empty answer'],
  ])('%s', async (_, reply, reason) => {
    const error = await failure(await client([reply as Reply]));
    expect(error).toBeInstanceOf(UnansweredError);
    expect((error as UnansweredError).reason).toBe(reason);
  });
});

describe('the way', () => {
  it('leads to no other origin', async () => {
    const other = await serve(says('Oval.'));
    open.push(other);
    for (const status of [301, 302, 307, 308]) {
      const asked = await client([json('', status, { location: `${other.baseUrl}/chat/completions` })]);
      const error = await failure(asked);
      expect(error.message).toContain(`redirects (${status}) to ${new URL(other.baseUrl).origin}`);
      expect(asked.server.received).toHaveLength(1);
    }
    expect(other.received).toHaveLength(0);
  });

  it('may turn within the origin where the method stays, a few times', async () => {
    const on = json('', 308, { location: '/v2/chat/completions' });
    const { server, ask } = await client([on, says('Oval.')]);
    expect((await ask()).text).toBe('Oval.');
    expect(server.received.map(({ url }) => url)).toEqual(['/v1/chat/completions', '/v2/chat/completions']);
    expect(server.received[1]?.body.model).toBe('m');
    const around = await client([on]);
    expect((await failure(around)).message).toContain('redirects (308)');
    expect(around.server.received).toHaveLength(4);
    expect((await failure(await client([json('', 303, { location: '/v2' })]))).message).toContain(
      'redirects (303)',
    );
    expect((await failure(await client([json('', 302)]))).message).toContain('to nowhere');
  });
});

describe('a server that repeats the key', () => {
  const escapes = JSON.stringify(`your key ${KEY}`).replaceAll('sk-', '\\u0073k-').replaceAll('/', '\\/');
  const echo = (status: number): Reply[] => [
    json({ error: { message: `invalid key: ${KEY}` } }, status),
    json(`{"error":{"message":${escapes}}}`, status),
    json(`plain text with Bearer ${KEY}`, status),
    json(`encoded ${Buffer.from(KEY).toString('base64')} ${encodeURIComponent(KEY)}`, status),
  ];

  it('has it in no message', async () => {
    for (const status of [200, 400, 401, 503])
      for (const reply of echo(status)) {
        const { message } = await failure(await client([reply], { limits: { retries: 0 } }));
        expect(message).not.toContain(Buffer.from(KEY).toString('base64'));
        expect(message).not.toContain(encodeURIComponent(KEY));
      }
    const away = json('', 307, { location: `https://${KEY.replace('/+', '')}.example.org/` });
    await failure(await client([away], { environment: { MASKRANK_API_KEY: KEY.replace('/+', '') } }));
  });

  it('has it in no answer, no refusal and no record', async () => {
    const reply = await client([says(`The key is ${KEY}.`)]);
    expect((await reply.ask()).text).toBe('The key is [key].');
    const escaped = await client([
      json(`{"model":${escapes},"choices":[{"message":{"content":${escapes}}}]}`),
    ]);
    expect(await escaped.ask()).toMatchObject({ text: 'your key [key]', servedModel: 'your key [key]' });
    await failure(await client([says(null, {}, { refusal: `no: ${KEY}` })]));
  });
});

describe('Retry-After', () => {
  it('is seconds or a date', () => {
    expect(retryAfterMs('2')).toBe(2000);
    expect(retryAfterMs('-2')).toBe(0);
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfterMs('Thu, 01 Jan 2026 00:00:07 GMT', now)).toBe(7000);
    expect(retryAfterMs('Thu, 01 Jan 2025 00:00:07 GMT', now)).toBe(0);
    for (const header of [null, '', 'soon']) expect(retryAfterMs(header)).toBeNull();
  });
});
