// How many questions a network answers exactly. An answer is exact when, led by the true answer, the likeliest token is the
// right one at each place up to the end: then, and only then, the network alone would have said the same. Not here: speaking
// (models/medvint/answer.ts).

import { noGrad, tidy } from '@maskrank/torch';
import type { Medvint } from '../../models/medvint/index.ts';
import { type AskedImage, planesOf, type TextIds, textGroups } from './batch.ts';
import { batchTensors } from './tensors.ts';

export type AnswerCount = { readonly right: number; readonly asked: number };

/** Images that are looked at together. */
const TOGETHER = 16;

/** Whether each question of each image is answered exactly. The network must be in evaluation mode. */
export async function* exactAnswers(
  network: Medvint,
  images: readonly AskedImage[],
  texts: TextIds,
): AsyncGenerator<readonly (readonly boolean[])[]> {
  for (let i = 0; i < images.length; i += TOGETHER) {
    yield ofSome(network, images.slice(i, i + TOGETHER), texts);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function ofSome(network: Medvint, images: readonly AskedImage[], texts: TextIds): boolean[][] {
  const asked = images.flatMap(({ questions }, owner) => questions.map((one) => ({ owner, ...one })));
  const groups = textGroups(asked, texts);
  const planes = planesOf(images.map(({ image }) => image));
  const said = noGrad(() =>
    tidy(() => {
      const { seen, owned } = batchTensors({ planes, groups }, network);
      return network.logitsAt(network.softTokens(seen), owned).argmax(-1).toTypedArray() as BigInt64Array;
    }),
  );
  const isExact = new Array<boolean>(asked.length).fill(true);
  let place = 0;
  for (const { targets, questions } of groups)
    for (const [p, target] of targets.entries())
      if (said[place++] !== target) isExact[questions[p] as number] = false;
  let next = 0;
  return images.map(({ questions }) => questions.map(() => isExact[next++] as boolean));
}

/** Right answers and questions by kind, and of all together under `all`. */
export async function countExact(
  network: Medvint,
  images: readonly AskedImage[],
  texts: TextIds,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Map<string, AnswerCount>> {
  const counts = new Map<string, AnswerCount>();
  const add = (kind: string, isRight: boolean): void => {
    const { right, asked } = counts.get(kind) ?? { right: 0, asked: 0 };
    counts.set(kind, { right: right + Number(isRight), asked: asked + 1 });
  };
  let done = 0;
  for await (const some of exactAnswers(network, images, texts))
    for (const answers of some) {
      const { questions } = images[done++] as AskedImage;
      for (const [q, isRight] of answers.entries())
        for (const kind of ['all', questions[q]!.kind]) add(kind, isRight);
      onProgress(done, images.length);
    }
  return counts;
}
