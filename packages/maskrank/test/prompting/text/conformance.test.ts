// What servers of this kind do differently, told from their own sources, reports and documentation: OpenAI, Ollama, vLLM, llama.cpp.
// Each of them is imitated with what it demands of a request, the shape of its answers and the way it says no.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { writeImagePng } from '../../../src/formats/raster.ts';
import {
  type EndpointAnswersOptions,
  endpointAnswers,
} from '../../../src/prompting/text/answers/endpoint.ts';
import { HttpError } from '../../../src/prompting/text/http.ts';
import { UnansweredError } from '../../../src/prompting/text/unanswered.ts';
import { json, type Received, type Reply, serve, type TestServer } from './server.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-conformance-'));
const image = join(dir, 'image.png');
beforeAll(() => writeImagePng(image, { width: 8, height: 6, channels: 1, data: new Uint8Array(48).fill(9) }));
afterAll(() => rmSync(dir, { recursive: true }));
const open: TestServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

/** One question put to a server that answers so. */
async function asked(replies: readonly Reply[], more: Partial<EndpointAnswersOptions> = {}) {
  const server = await serve(...replies);
  open.push(server);
  const provider = endpointAnswers({
    baseUrl: server.baseUrl,
    model: 'vision',
    environment: {},
    ...more,
    limits: { backoffMs: 1, maxWaitMs: 20, retries: 2, ...more.limits },
  });
  const question = { caseId: 'a', classId: 1, imagePath: image, text: 'Where is it?' };
  const outcome = await provider.answer(question, new AbortController().signal).then(
    ({ text, source }) => ({ text, source, error: undefined }),
    (error: Error) => ({ text: undefined, source: undefined, error }),
  );
  return { ...outcome, received: server.received };
}

type Part = { type: string; text?: string; image_url?: { url: string } };

/** What every one of these servers demands; a complaint where a request would be refused. */
function complaint({ url, headers, body }: Received): string | null {
  if (url !== '/v1/chat/completions') return `404 ${url}`;
  if (headers['content-type'] !== 'application/json') return 'content-type';
  const allowed = ['model', 'messages', 'max_tokens', 'temperature', 'stream'];
  const unknown = Object.keys(body).filter((key) => !allowed.includes(key));
  if (unknown.length > 0) return `extra fields not permitted: ${unknown}`;
  if (body.model !== 'vision' || body.stream !== false) return 'model or stream';
  for (const { role, content } of body.messages as { role: string; content: string | Part[] }[]) {
    if (!['system', 'user'].includes(role)) return `role ${role}`;
    for (const part of typeof content === 'string' ? [] : content) {
      const isText = part.type === 'text' && typeof part.text === 'string';
      // Ollama reads png and jpeg behind exactly this prefix; llama.cpp wants an object with a url.
      const isImage =
        part.type === 'image_url' &&
        /^data:image\/(png|jpeg);base64,[A-Za-z0-9+/]+=*$/.test(part.image_url?.url ?? '');
      if (!isText && !isImage) return `part ${JSON.stringify(part).slice(0, 80)}`;
    }
  }
  const parts = body.messages.at(-1).content as Part[];
  return parts.filter(({ type }) => type === 'image_url').length === 1 ? null : 'no image';
}

const strict =
  (body: unknown): Reply =>
  (request, response) => {
    const wrong = complaint(request);
    return (wrong === null ? json(body) : json({ error: { message: wrong } }, 400))(request, response);
  };

const TEXT = 'Oval, in the upper left.';
const choice = (message: object, finish: string | null = 'stop', more: object = {}) => ({
  index: 0,
  finish_reason: finish,
  message: { role: 'assistant', ...message },
  ...more,
});

describe('an answer as it comes from', () => {
  it.each<[string, object]>([
    [
      'OpenAI',
      {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: 'gpt-4o-2024-08-06',
        choices: [choice({ content: TEXT, refusal: null, annotations: [] }, 'stop', { logprobs: null })],
        usage: { prompt_tokens: 300, completion_tokens: 8, total_tokens: 308 },
        system_fingerprint: 'fp_1',
      },
    ],
    [
      'Ollama',
      {
        id: 'chatcmpl-418',
        object: 'chat.completion',
        created: 1,
        model: 'llava:latest',
        system_fingerprint: 'fp_ollama',
        choices: [choice({ content: ` ${TEXT}\n` })],
        usage: { prompt_tokens: 1, completion_tokens: 8, total_tokens: 9 },
      },
    ],
    [
      'vLLM',
      {
        id: 'chat-1',
        object: 'chat.completion',
        created: 1,
        model: 'Qwen/Qwen2-VL-7B-Instruct',
        choices: [
          choice({ content: TEXT, reasoning_content: null, tool_calls: [] }, 'stop', {
            logprobs: null,
            stop_reason: null,
          }),
        ],
        usage: { prompt_tokens: 1, total_tokens: 9, completion_tokens: 8, prompt_tokens_details: null },
        prompt_logprobs: null,
        kv_transfer_params: null,
      },
    ],
    [
      'llama.cpp, which puts choices first and sends timings',
      {
        choices: [choice({ content: TEXT })],
        created: 1,
        model: 'gpt-3.5-turbo',
        system_fingerprint: 'b9294-0f3cb3fc8',
        object: 'chat.completion',
        usage: { completion_tokens: 8, prompt_tokens: 1, total_tokens: 9 },
        id: 'chatcmpl-x',
        timings: { prompt_n: 1, predicted_ms: 137.375 },
      },
    ],
    [
      'a gateway that gives parts, and no usage, model or finish',
      { choices: [{ message: { role: 'assistant', content: [{ type: 'text', text: TEXT }] } }] },
    ],
    [
      'a thinker with a parser (vLLM, llama.cpp)',
      { choices: [choice({ content: TEXT, reasoning_content: 'Hm.' })] },
    ],
    ['a thinker with a parser (Ollama)', { choices: [choice({ content: TEXT, reasoning: 'Hm.' })] }],
    ['a thinker without one', { choices: [choice({ content: `<think>\nHm. Left?\n</think>\n\n${TEXT}` })] }],
    [
      'a thinker whose template wrote the first mark',
      { choices: [choice({ content: `Hm.\n</think>\n\n${TEXT}` })] },
    ],
  ])('%s', async (_, body) => {
    const { text, error } = await asked([strict(body)]);
    expect(error).toBeUndefined();
    expect(text).toBe(TEXT);
  });

  it('says so when it was cut, and keeps what there is', async () => {
    const cut = { model: 'm', choices: [choice({ content: 'Oval, in the' }, 'length')] };
    const { text, source } = await asked([strict(cut)]);
    expect([text, source?.finish]).toEqual(['Oval, in the', 'length']);
  });
});

describe('no answer', () => {
  it.each<[string, object]>([
    ['all tokens were thoughts (vLLM)', choice({ content: null, reasoning_content: 'Hm, where' }, 'length')],
    ['all tokens were thoughts (Ollama)', choice({ content: '', reasoning: 'Hm, where' }, 'length')],
    ['all tokens were thoughts, no parser', choice({ content: '<think>\nHm, where' }, 'length')],
  ])('%s: ends the work with what to do', async (_, one) => {
    const { error } = await asked([strict({ choices: [one] })]);
    expect(error).toBeInstanceOf(DataError);
    expect(error).not.toBeInstanceOf(UnansweredError);
    expect(error?.message).toMatch(/tokens ran out.*Raise the limit of tokens/);
  });

  it.each<[string, object, string]>([
    ['thoughts alone', choice({ content: null, reasoning_content: 'Hm.' }), 'thoughts without an answer'],
    ['thoughts alone, no content', choice({ reasoning: 'Hm.' }), 'thoughts without an answer'],
    ['a call of a tool', choice({ content: null, tool_calls: [{ id: '1' }] }, 'tool_calls'), 'empty answer'],
    ['nothing', choice({ content: '' }), 'empty answer'],
  ])('%s: leaves one case without', async (_, one, reason) => {
    const { error } = await asked([strict({ choices: [one] })]);
    expect((error as UnansweredError).reason).toBe(reason);
  });
});

describe('a no that stays no is not asked again', () => {
  const notFound = /404 \(it knows no such address or model.*\): /;
  it.each<[string, Reply, RegExp]>([
    [
      'OpenAI: no such model',
      json(
        {
          error: {
            message: 'The model `vision` does not exist',
            type: 'invalid_request_error',
            code: 'model_not_found',
          },
        },
        404,
      ),
      /404 .*The model `vision` does not exist/,
    ],
    [
      'OpenAI: the account is empty (429)',
      json(
        {
          error: {
            message: 'You exceeded your current quota',
            type: 'insufficient_quota',
            code: 'insufficient_quota',
          },
        },
        429,
      ),
      /status 429: "You exceeded your current quota"/,
    ],
    [
      'OpenAI: wants the other limit',
      json(
        {
          error: {
            message:
              "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            code: 'unsupported_parameter',
          },
        },
        400,
      ),
      /maxTokensField/,
    ],
    [
      'OpenAI: allows no temperature',
      json(
        {
          error: {
            message: "Unsupported value: 'temperature' does not support 0 with this model.",
            code: 'unsupported_value',
          },
        },
        400,
      ),
      /no choice of the temperature/,
    ],
    [
      'Ollama: no such model',
      json(
        {
          error: {
            message: 'model "vision" not found, try pulling it first',
            type: 'api_error',
            param: null,
            code: null,
          },
        },
        404,
      ),
      /404 .*model \\"vision\\" not found, try pulling it first/,
    ],
    ["Ollama's own interface", json({ error: "model 'vision' not found" }, 404), notFound],
    [
      'Ollama: no eyes',
      json(
        { error: { message: 'this model is missing data required for image input', type: 'api_error' } },
        500,
      ),
      /takes no images/,
    ],
    ['Ollama without /v1', (_, response) => response.writeHead(404).end('404 page not found'), notFound],
    [
      'vLLM: no such model',
      json(
        {
          object: 'error',
          message: 'The model `vision` does not exist.',
          type: 'NotFoundError',
          param: null,
          code: 404,
        },
        404,
      ),
      /404 .*: "The model `vision` does not exist\."/,
    ],
    [
      'vLLM: no eyes',
      json(
        {
          object: 'error',
          message: 'vision is not a multimodal model None',
          type: 'BadRequestError',
          code: 400,
        },
        400,
      ),
      /takes no images/,
    ],
    [
      'vLLM: refuses a system message beside an image',
      json(
        {
          object: 'error',
          message: 'Prompting with images is incompatible with system messages.',
          code: 400,
        },
        400,
      ),
      /instructionRole user/,
    ],
    [
      'vLLM: FastAPI finds a field wrong',
      json(
        {
          detail: [{ loc: ['body', 'max_tokens'], msg: 'value is not a valid integer', type: 'type_error' }],
        },
        422,
      ),
      /422: "value is not a valid integer"/,
    ],
    ['vLLM: no such address', json({ detail: 'Not Found' }, 404), /"Not Found"/],
    [
      'llama.cpp: no eyes (500)',
      json(
        {
          error: {
            code: 500,
            message:
              'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
            type: 'server_error',
          },
        },
        500,
      ),
      /status 500 \(this model takes no images.*--mmproj/,
    ],
    [
      'llama.cpp of before (500)',
      json(
        {
          error: {
            code: 500,
            message: 'Failed to parse messages: Unsupported content part type: "image_url"; messages = []',
            type: 'server_error',
          },
        },
        500,
      ),
      /takes no images/,
    ],
    [
      'llama.cpp: not started for it (501)',
      json({ error: { code: 501, message: 'This feature is not there', type: 'not_supported_error' } }, 501),
      /status 501/,
    ],
  ])('%s', async (_, reply, words) => {
    const { error, received } = await asked([reply]);
    expect(error).toBeInstanceOf(HttpError);
    expect(error?.message).toMatch(words);
    expect(received).toHaveLength(1);
  });

  it.each<[string, object]>([
    [
      'vLLM behind a gateway',
      { code: 404, message: 'The model does not exist.', object: 'error', type: 'NotFoundError' },
    ],
    ['OpenRouter', { error: { message: 'The model does not exist.', code: 404 } }],
    ['a string', { error: 'The model does not exist.' }],
  ])('an error by status 200: %s', async (_, body) => {
    const { error, received } = await asked([json(body)]);
    expect(error?.message).toMatch(/lacks choices\[0\]\.message; it says: The model does not exist\./);
    expect(received).toHaveLength(1);
  });
});

describe('a no for now is asked again', () => {
  const fine = strict({ choices: [choice({ content: TEXT })] });
  it.each<[string, Reply]>([
    [
      'OpenAI: too many requests',
      json({ error: { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' } }, 429, {
        'retry-after': '0',
      }),
    ],
    [
      'OpenAI and Azure say it in milliseconds',
      json({ error: { message: 'Rate limit' } }, 429, { 'retry-after-ms': '7', 'retry-after': '3600' }),
    ],
    [
      'Ollama: its queue is full',
      json({ error: { message: 'server busy, please try again.  maximum pending requests exceeded' } }, 503),
    ],
    [
      'llama.cpp: loads its model',
      json({ error: { code: 503, message: 'Loading model', type: 'unavailable_error' } }, 503),
    ],
    [
      'vLLM: its engine died',
      json({ object: 'error', message: '', type: 'InternalServerError', code: 500 }, 500),
    ],
    ['a proxy in front', (_, response) => response.writeHead(502).end('<html>Bad Gateway</html>')],
  ])('%s', async (_, reply) => {
    const { text, received } = await asked([reply, fine]);
    expect([text, received.length]).toEqual([TEXT, 2]);
  });

  it('waits the milliseconds that the server asks for', async () => {
    const waits: number[] = [];
    const reply = json('', 429, { 'retry-after-ms': '7', 'retry-after': '3600' });
    await asked([reply, fine], { limits: { onRetry: (_, wait) => waits.push(wait) } });
    expect(waits).toEqual([7]);
  });
});

describe('a request made to fit', () => {
  it('has the instruction in the question for models without a system message', async () => {
    const refusing: Reply = (request, response) =>
      (request.body.messages.some(({ role }: { role: string }) => role === 'system')
        ? json({ object: 'error', message: 'System role not supported' }, 400)
        : strict({ choices: [choice({ content: TEXT })] }))(request, response);
    expect((await asked([refusing])).error?.message).toMatch(/instructionRole user/);
    const { text, received } = await asked([refusing], { instructionRole: 'user', instruction: 'Be short.' });
    expect(text).toBe(TEXT);
    expect(received[0]?.body.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Be short.' },
          { type: 'text', text: 'Where is it?' },
          expect.anything(),
        ],
      },
    ]);
  });

  it('has further fields, but none that is set here, and tells of them', async () => {
    const extra = { seed: 1, chat_template_kwargs: { enable_thinking: false } };
    const { received, source } = await asked([json({ choices: [choice({ content: TEXT })] })], { extra });
    expect(received[0]?.body).toMatchObject({ ...extra, model: 'vision', stream: false });
    expect(JSON.parse(source?.extra as string)).toEqual(extra);
    await expect(asked([json('')], { extra: { model: 'x', stream: true } })).rejects.toThrow(
      /hold model, stream/,
    );
  });

  it('has an identity of all that', () => {
    const base = { baseUrl: 'http://localhost:1/v1', model: 'm', environment: {} };
    const identity = (more: object) => endpointAnswers({ ...base, ...more }).identity;
    const same = [
      {},
      { image: { quality: 50 } },
      { image: { format: 'png' } },
      { image: { maxBytes: 9 } },
      { extra: null },
    ];
    expect(new Set(same.map(identity)).size).toBe(1);
    const others = [
      {},
      { instructionRole: 'user' },
      { extra: { seed: 1 } },
      { extra: { seed: 2 } },
      { image: { format: 'jpeg' } },
      { image: { format: 'jpeg', quality: 50 } },
    ];
    expect(new Set(others.map(identity)).size).toBe(others.length);
  });
});
