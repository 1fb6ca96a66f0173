// A question to an OpenAI-compatible `chat/completions` server (OpenAI's own, Ollama, vLLM, llama.cpp …) and its answer as plain
// text. Knows what servers of this kind say when they decline. Not here: the wire (http.ts), what is asked (answers/, knowledge/).

import { DataError } from '@maskrank/torch/errors';
import { Address, type AddressOptions } from './address.ts';
import { HttpError, postJson, type RequestLimits } from './http.ts';
import { tidyText } from './parts.ts';
import { UnansweredError } from './unanswered.ts';

export type ChatOptions = AddressOptions & {
  /** The model's name as the server knows it. */
  readonly model: string;
  /** Tokens of an answer at most. Default 200. */
  readonly maxTokens?: number;
  /** How the server calls that limit; newer models of OpenAI want `max_completion_tokens`. Default `max_tokens`. */
  readonly maxTokensField?: 'max_tokens' | 'max_completion_tokens';
  /** 0 (default) takes the likeliest words; null sends none, for models that allow no choice. */
  readonly temperature?: number | null;
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

/** Characters of an answer that are kept; the network reads 256 word pieces, about 1200 characters. */
const MAX_ANSWER = 4000;

/** All that an answer depends on besides the messages, without the key. */
export function chatIdentity({
  baseUrl,
  model,
  maxTokens = 200,
  temperature = 0,
}: ChatOptions): Record<string, string | number | null> {
  return { baseUrl: baseUrl.replace(/\/+$/, ''), model, maxTokens, temperature };
}

export class ChatClient {
  readonly address: Address;
  readonly #options: ChatOptions;

  /** Checks address and key; sends nothing. */
  constructor(options: ChatOptions) {
    this.address = new Address(options);
    this.#options = options;
  }

  /** Throws UnansweredError when the model declines. */
  async ask(messages: readonly ChatMessage[], signal: AbortSignal): Promise<ChatReply> {
    const { model, maxTokens = 200, maxTokensField = 'max_tokens', temperature = 0, limits } = this.#options;
    const body = {
      model,
      messages,
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
      | { message?: { content?: unknown; refusal?: unknown }; finish_reason?: unknown }
      | undefined;
    const message = choice?.message;
    if (typeof message !== 'object' || message === null) {
      const error = (reply as { error?: { message?: unknown } } | null)?.error?.message;
      throw this.#broken(
        `choices[0].message${typeof error === 'string' ? `; it says: ${clean(error).slice(0, 300)}` : ''}`,
      );
    }
    const finish = typeof choice?.finish_reason === 'string' ? choice.finish_reason : null;
    if (typeof message.refusal === 'string' && message.refusal.trim() !== '')
      throw this.#declined(`refused: ${clean(message.refusal).slice(0, 200)}`);
    if (finish === 'content_filter') throw this.#declined('content filter');
    const content = textOf(message.content);
    if (content === null) throw this.#broken('choices[0].message.content');
    const text = clean(content);
    if (text === '' && finish === 'length')
      throw new DataError(
        `endpoint ${this.address.baseUrl}: the answer is empty because its tokens ran out (models that think first need more). Raise the limit of tokens.`,
      );
    if (text === '') throw this.#declined('empty answer');
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
