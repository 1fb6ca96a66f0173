// Who answers questions and who knows classes, as configured. Nothing is asked here, and nothing leaves the machine unless an
// endpoint is both configured and chosen. Not here: the providers themselves (prompting/text).

import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { resolveWeights } from '../../models/weights/index.ts';
import { endpointAnswers } from '../../prompting/text/answers/endpoint.ts';
import { type MedvintAnswersOptions, openMedvintAnswers } from '../../prompting/text/answers/medvint.ts';
import { recordedAnswers } from '../../prompting/text/answers/recorded.ts';
import { recordAnswers } from '../../prompting/text/answers/recording.ts';
import type { ChatOptions } from '../../prompting/text/chat.ts';
import { cardKnowledge } from '../../prompting/text/knowledge/cards.ts';
import { endpointKnowledge } from '../../prompting/text/knowledge/endpoint.ts';
import { recordedKnowledge } from '../../prompting/text/knowledge/recorded.ts';
import type { TextEndpoints } from '../../prompting/text/privacy.ts';
import type { AnswerProvider, KnowledgeProvider } from '../../prompting/text/types.ts';
import type { Config } from '../../run/config.ts';

type ProviderRequest = {
  readonly config: Config;
  readonly device: string;
  /** Where answers of a model and an endpoint's knowledge are kept, a file each for this command alone. */
  readonly answersPath: string;
  readonly knowledgePath: string;
};

/** The value of a key that this choice needs. */
function need(value: string | null, key: string, choice: string, words: string): string {
  if (value !== null) return value;
  throw new UsageError(`${choice} needs ${key}: ${words}.`);
}

function chatOptions({ endpoint }: Config['text'], choice: string): ChatOptions {
  const { baseUrl, model, extra, timeoutS, retries } = endpoint;
  const { keyVariable, allowInsecure, maxTokens, maxTokensField, temperature, instructionRole } = endpoint;
  return {
    ...{ keyVariable, allowInsecure, maxTokens, maxTokensField, temperature, instructionRole },
    extra: extra === null ? null : jsonObject('text.endpoint.extra', extra),
    baseUrl: need(
      baseUrl,
      'text.endpoint.baseUrl',
      choice,
      'the address of the server, as http://localhost:11434/v1',
    ),
    model: need(model, 'text.endpoint.model', choice, "the model's name as the server knows it"),
    limits: { timeoutMs: 1000 * timeoutS, retries },
  };
}

/** The fields that a text of JSON holds. */
function jsonObject(key: string, text: string): Record<string, unknown> {
  const parsed = (): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  const value = parsed();
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new UsageError(`${key} = '${text}'; allowed: an object in JSON, as {"seed":1}.`);
}

/** How MedVInT chooses its tokens; null takes the likeliest. */
function medvintSampling({
  text,
  seed: runSeed,
}: Config): NonNullable<MedvintAnswersOptions['sampling']> | null {
  const { decoding, temperature, topK, topP, seed } = text.medvint;
  if (decoding === 'greedy') return null;
  return { seed: seed ?? runSeed, temperature, topP, ...(topK !== null && { topK }) };
}

const ANSWERS: Readonly<
  Record<Exclude<Config['text']['answers'], 'none'>, (request: ProviderRequest) => Promise<AnswerProvider>>
> = {
  medvint: async ({ config, device }) => {
    const { weights, tokenizer, storage, compute, maxNewTokens } = config.text.medvint;
    const path = await resolveWeights(
      need(weights, 'text.medvint.weights', 'text.answers = medvint', 'a folder or file of MedVInT-TD'),
    );
    return openMedvintAnswers({
      weights: path,
      tokenizer,
      storage,
      compute,
      maxNewTokens,
      sampling: medvintSampling(config),
      device: device as 'cpu',
    });
  },
  endpoint: async ({ config: { text } }) => {
    const { instruction, image } = text.endpoint;
    const options = chatOptions(text, 'text.answers = endpoint');
    return endpointAnswers({ ...options, image, ...(instruction !== null && { instruction }) });
  },
  recorded: async ({ config: { text } }) =>
    recordedAnswers(need(text.recorded, 'text.recorded', 'text.answers = recorded', 'the file of answers')),
};

const KNOWLEDGE: Readonly<
  Record<
    Exclude<Config['text']['knowledge'], 'none'>,
    (request: ProviderRequest) => KnowledgeProvider & { readonly close?: () => void }
  >
> = {
  cards: () => cardKnowledge(),
  endpoint: ({ config: { text }, knowledgePath }) => {
    mkdirSync(dirname(knowledgePath), { recursive: true });
    const { knowledgePrompt, knowledgeInstruction: instruction } = text.endpoint;
    const options = chatOptions(text, 'text.knowledge = endpoint');
    const prompt = knowledgePrompt === null ? {} : { prompt: knowledgePrompt };
    return endpointKnowledge({ ...options, cachePath: knowledgePath, instruction, ...prompt });
  },
  recorded: ({ config: { text } }) =>
    recordedKnowledge(
      need(
        text.recordedKnowledge,
        'text.recordedKnowledge',
        'text.knowledge = recorded',
        'the file of knowledge',
      ),
    ),
};

/** The endpoints that this run sends something to: configured, chosen, and in use. */
export function endpointsInUse({ text, prompts }: Pick<Config, 'text' | 'prompts'>): TextEndpoints {
  const { baseUrl } = text.endpoint;
  const uses = (part: 'vqa' | 'knowledge', choice: string) =>
    prompts.use.includes(part) && choice === 'endpoint' ? baseUrl : null;
  return { answers: uses('vqa', text.answers), knowledge: uses('knowledge', text.knowledge) };
}

/** Who answers; null where answers are not in use. UsageError where they are and nobody is named. */
export async function openAnswers(request: ProviderRequest): Promise<AnswerProvider | null> {
  const { text, prompts } = request.config;
  if (!prompts.use.includes('vqa')) return null;
  if (text.answers === 'none')
    throw new UsageError(
      'prompts.use contains vqa, but text.answers = none: name who answers with --text.answers medvint, endpoint or recorded.',
    );
  const provider = await ANSWERS[text.answers](request);
  // What stands in a file already needs no second one.
  return text.answers === 'recorded' ? provider : recordAnswers(provider, request.answersPath);
}

/** Who knows the classes; null where knowledge is not in use. */
export function openKnowledge(
  request: ProviderRequest,
): (KnowledgeProvider & { readonly close?: () => void }) | null {
  const { text, prompts } = request.config;
  if (!prompts.use.includes('knowledge')) return null;
  if (text.knowledge === 'none')
    throw new UsageError(
      'prompts.use contains knowledge, but text.knowledge = none: name who knows with --text.knowledge cards, endpoint or recorded.',
    );
  return KNOWLEDGE[text.knowledge](request);
}
