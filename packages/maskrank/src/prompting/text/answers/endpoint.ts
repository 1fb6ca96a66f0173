// Answers from a vision model behind an OpenAI-compatible endpoint: a hosted one, or Ollama, vLLM, llama.cpp on one's own machine.
// Sends the pixels of the image, the question and the instruction; nothing else about the case. What was asked of whom and when
// goes into the record. Not here: keeping the answers (recording.ts).

import { createHash } from 'node:crypto';
import { ChatClient, type ChatOptions, chatIdentity } from '../chat.ts';
import type { Answer, AnswerProvider, Question } from '../types.ts';
import { imageUrl, imageWords, SENT_IMAGE, type SentImageOptions } from './image-url.ts';

/** An endpoint, what it is told, and how images are sent to it. */
export type EndpointAnswersOptions = ChatOptions & {
  /** What the model is told before the question. */
  readonly instruction?: string;
  readonly image?: SentImageOptions;
};

/** Asks for what a prompt needs and leaves the question as it is. */
export const ANSWER_INSTRUCTION =
  'You describe medical images for research on image segmentation. Answer the question about the image in at most three short sentences of plain text: what its shape is and where in the image it lies. Say so if it cannot be seen. No diagnosis, no advice, no list.';

/** Answers from a vision model behind an endpoint. Checks address and key now, sends at the first question. */
export function endpointAnswers(options: EndpointAnswersOptions): AnswerProvider {
  const client = new ChatClient(options);
  const { instruction = ANSWER_INSTRUCTION, model } = options;
  const sent = { ...SENT_IMAGE, ...options.image };
  const identity = createHash('sha256')
    .update(JSON.stringify(['endpoint 2', chatIdentity(options), instruction, imageWords(sent)]))
    .digest('hex');
  return {
    name: 'endpoint',
    identity,
    answer: async ({ imagePath, text }: Question, signal: AbortSignal): Promise<Answer> => {
      signal.throwIfAborted();
      const image = await imageUrl(imagePath, sent);
      const reply = await client.ask(
        [
          { role: 'system', content: instruction },
          {
            role: 'user',
            content: [
              { type: 'text', text },
              { type: 'image_url', image_url: { url: image.url } },
            ],
          },
        ],
        signal,
      );
      return {
        text: reply.text,
        source: {
          provider: 'endpoint',
          endpoint: client.address.baseUrl,
          leavesMachine: !client.address.isLocal,
          model,
          servedModel: reply.servedModel,
          prompt: instruction,
          image: `${image.widthPx} x ${image.heightPx} px ${sent.format}${sent.format === 'jpeg' ? ` ${sent.quality}` : ''}`,
          extra: options.extra == null ? null : JSON.stringify(options.extra),
          finish: reply.finish,
          cutCharacters: reply.cutCharacters,
          at: new Date().toISOString(),
        },
      };
    },
  };
}
