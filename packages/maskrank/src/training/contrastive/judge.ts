// How well a trained CLIP tells from an image whether a text is true: the area under the ROC curve of its cosines, a class at a
// time. Image-level labels only. Not here: where it looks (prompting/saliency).

/**
 * Probability that an image of which the text is true scores higher than one of which it is not; ties count half. Null unless
 * both kinds are there.
 */
export function areaUnderRoc(scores: readonly number[], isTrue: readonly boolean[]): number | null {
  const order = Array.from(scores.keys()).sort((a, b) => (scores[a] as number) - (scores[b] as number));
  const positives = isTrue.filter(Boolean).length;
  const negatives = isTrue.length - positives;
  if (positives === 0 || negatives === 0) return null;
  let rankSum = 0; // of the positives, ranks from 1, equal scores share their mean rank
  for (let i = 0; i < order.length; ) {
    let end = i;
    while (end < order.length && scores[order[end] as number] === scores[order[i] as number]) end++;
    for (let j = i; j < end; j++) if (isTrue[order[j] as number]) rankSum += (i + 1 + end) / 2;
    i = end;
  }
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}
