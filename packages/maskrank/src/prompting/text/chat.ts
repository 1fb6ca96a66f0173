// A question to an OpenAI-compatible `chat/completions` server (OpenAI's own, Ollama, vLLM, llama.cpp …) and its answer as plain
// text. Knows what servers of this kind say when they decline. Not here: the wire (http.ts), what is asked (answers/, knowledge/).

import { DataError, UsageError } from '@maskrank/torch/errors';
import { Address, type AddressOptions } from './address.ts';
import { HttpError, postJson, type RequestLimits, serverWords } from './http.ts';
import { tidyText } from './parts.ts';
import { UnansweredError } from './unanswered.ts';

/** A chat-completions server, the model, and how it is asked. */
export type ChatOptions = AddressOptions & {
  /** The model's name as the server knows it. */
  readonly model: string;
  /** Tokens of an answer at most. Default 200. */
  readonly maxTokens?: number;
  /** How the server calls that limit; newer models of OpenAI want `max_completion_tokens`. Default `max_tokens`. */
  readonly maxTokensField?: 'max_tokens' | 'max_completion_tokens';
  /** 0 (default) takes the likeliest words; null sends none, for models that allow no choice. */
  readonly temperature?: number | null;
  /**
   * Who says the instruction: `system` (default), or `user`, in front of the question, for models whose template refuses a
   * system message (some vision models do, beside an image).
   */
  readonly instructionRole?: 'system' | 'user';
  /**
   * Further fields of the request, as servers know them: `{"seed": 1}`, `{"reasoning_effort": "none"}`, vLLM's
   * `{"chat_template_kwargs": {"enable_thinking": false}}`. Part of identity and records: nothing secret.
   */
  readonly extra?: Readonly<Record<string, unknown>> | null;
  readonly limits?: RequestLimits;
};

export type ChatMessage = {
  readonly role: 'system' | 'user';
  readonly content:
    | string
    | readonly (
        | { readonly type: 'text'; readonly text: string }
        | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
      )[];
};

/** An answer as plain text, and what the server said of it. */
export type ChatReply = {
  /** White space tidied, control characters gone, the key taken out. */
  readonly text: string;
  /** What the server says it was answered by. */
  readonly servedModel: string | null;
  /** `stop`, `length` … as the server says. */
  readonly finish: string | null;
  /** Characters that were cut because the answer was longer than `MAX_ANSWER`. */
  readonly cutCharacters: number;
};

type Message = {
  readonly content?: unknown;
  readonly refusal?: unknown;
  /** Thoughts stand beside the answer: vLLM and llama.cpp, Ollama and new vLLM. */
  readonly reasoning_content?: unknown;
  readonly reasoning?: unknown;
};

/** Characters of an answer that are kept; the network reads 256 word pieces, about 1200 characters. */
const MAX_ANSWER = 4000;

/** Fields that the other options fill. */
const OWN_FIELDS = [
  'model',
  'messages',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'stream',
  'n',
] as const;

/** All that an answer depends on besides the messages, without the key. */
export function chatIdentity({
  baseUrl,
  model,
  maxTokens = 200,
  temperature = 0,
  instructionRole = 'system',
  extra = null,
}: ChatOptions): Readonly<Record<string, unknown>> {
  const more = extra === null ? null : JSON.stringify(extra);
  return {
    baseUrl: baseUrl.replace(/\/+$/, ''),
    model,
    maxTokens,
    temperature,
    instructionRole,
    extra: more,
  };
}

/** Asks one server one question at a time. */
export class ChatClient {
  readonly address: Address;
  readonly #options: ChatOptions;

  /** Checks address and key; sends nothing. */
  constructor(options: ChatOptions) {
    this.address = new Address(options);
    this.#options = options;
    const own = Object.keys(options.extra ?? {}).filter((name) =>
      (OWN_FIELDS as readonly string[]).includes(name),
    );
    if (own.length > 0)
      throw new UsageError(
        `endpoint ${this.address.baseUrl}: the extra fields of the request hold ${own.join(', ')}, which are set here; allowed are all others. Use the options for them.`,
      );
  }

  /** Throws UnansweredError when the model declines. */
  async ask(messages: readonly ChatMessage[], signal: AbortSignal): Promise<ChatReply> {
    const { model, maxTokens = 200, maxTokensField = 'max_tokens', temperature = 0 } = this.#options;
    const { instructionRole = 'system', extra, limits } = this.#options;
    const body = {
      ...extra,
      model,
      messages: instructionRole === 'system' ? messages : withoutSystem(messages),
      [maxTokensField]: maxTokens,
      ...(temperature !== null && { temperature }),
      stream: false,
    };
    const reply = await postJson(this.address, 'chat/completions', body, signal, limits).catch(
      (error: unknown) => {
        if (error instanceof HttpError && isFiltered(error.body)) throw this.#declined('content filter');
        throw error;
      },
    );
    return this.#read(reply);
  }

  #read(reply: unknown): ChatReply {
    const { choices, model } = (reply ?? {}) as { choices?: unknown; model?: unknown };
    const choice = (Array.isArray(choices) ? choices[0] : undefined) as
      | { message?: Message; finish_reason?: unknown }
      | undefined;
    const message = choice?.message;
    if (typeof message !== 'object' || message === null) {
      const error = serverWords(reply);
      throw this.#broken(
        `choices[0].message${error === null ? '' : `; it says: ${clean(error).slice(0, 300)}`}`,
      );
    }
    const finish = typeof choice?.finish_reason === 'string' ? choice.finish_reason : null;
    if (typeof message.refusal === 'string' && message.refusal.trim() !== '')
      throw this.#declined(`refused: ${clean(message.refusal).slice(0, 200)}`);
    if (finish === 'content_filter') throw this.#declined('content filter');
    // Ollama leaves the field out where there are only thoughts.
    const content = textOf(message.content === undefined && hasThoughts(message) ? null : message.content);
    if (content === null) throw this.#broken('choices[0].message.content');
    const text = clean(withoutThoughts(content));
    if (text === '' && finish === 'length')
      throw new DataError(
        `endpoint ${this.address.baseUrl}: the answer is empty because its tokens ran out (models that think first need more). Raise the limit of tokens, or tell the model not to think: extra.`,
      );
    if (text === '')
      throw this.#declined(hasThoughts(message) ? 'thoughts without an answer' : 'empty answer');
    const kept = text.slice(0, MAX_ANSWER).trimEnd();
    return {
      text: kept,
      servedModel: typeof model === 'string' ? clean(model).slice(0, 200) : null,
      finish: finish === null ? null : clean(finish).slice(0, 40),
      cutCharacters: text.length - kept.length,
    };
  }

  #declined(reason: string): UnansweredError {
    return new UnansweredError(`endpoint ${this.address.baseUrl}: declines to answer (${reason}).`, reason);
  }

  #broken(missing: string): DataError {
    return new DataError(
      `endpoint ${this.address.baseUrl}: the reply lacks ${missing}. Is it an OpenAI-compatible chat-completions server?`,
    );
  }
}

/** One line without control characters: it goes to terminals and files. */
const clean = (text: string): string => tidyText(text.replace(/\p{Cc}/gu, ' '));

/** The messages with what the system says in front of the first thing that the user says. */
function withoutSystem(messages: readonly ChatMessage[]): ChatMessage[] {
  const said = messages.flatMap(({ role, content }) =>
    role === 'system' && typeof content === 'string' ? [content] : [],
  );
  const [first, ...rest] = messages.filter(({ role }) => role === 'user');
  if (first === undefined || said.length === 0) return [...messages];
  const front = said.join('\n\n');
  const content =
    typeof first.content === 'string'
      ? `${front}\n\n${first.content}`
      : [{ type: 'text', text: front } as const, ...first.content];
  return [{ role: 'user', content }, ...rest];
}

/**
 * An answer without the thoughts before it, which servers without a parser for them leave in the content: `<think>…</think>`,
 * the first mark missing where the template has written it; no second one where the tokens ran out.
 */
function withoutThoughts(content: string): string {
  const end = content.lastIndexOf('</think>');
  const rest = end < 0 ? content : content.slice(end + '</think>'.length);
  return /^\s*<think>/.test(rest) ? '' : rest;
}

const hasThoughts = (message: Message): boolean =>
  [message.reasoning_content, message.reasoning, message.content].some(
    (part) => typeof part === 'string' && part.trim() !== '',
  );

/** Text content, whole or in parts. */
function textOf(content: unknown): string | null {
  if (content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return null;
  const texts = content.flatMap((part: { text?: unknown } | null) =>
    typeof part?.text === 'string' ? [part.text] : [],
  );
  return texts.length === content.length ? texts.join(' ') : null;
}

/** Azure and some gateways say by status 400 that a filter stopped the question. */
function isFiltered(body: unknown): boolean {
  const error = (body as { error?: { code?: unknown } } | null | undefined)?.error;
  return error?.code === 'content_filter' || error?.code === 'content_policy_violation';
}
