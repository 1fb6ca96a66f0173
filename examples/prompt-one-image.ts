// Boxes, points and text for one image from the name of its class, without a run, a dataset or a mask; and a picture of them.
// Run: node scripts/example.mjs prompt-one-image IMAGE.png 'breast tumor' ultrasound WEIGHTS.safetensors
// Weights: BiomedCLIP's file with its vocab.txt beside it, or what `maskrank pretrain clip` writes.

import { fileURLToPath } from 'node:url';
import * as mr from 'maskrank';

export async function promptImage(file: string, className: string, modality: string, weights: string) {
  const image = await mr.readImage(file);
  using model = await mr.loadClip(weights);
  const tokenizer = await mr.loadClipTokenizer(weights);

  // Where the network looks for the class, and whether the words matter: the same map for a text that names nothing.
  const phrase = mr.saliencyText({ name: className }, modality);
  const [text, nothing] = mr
    .embedTexts(model, tokenizer, [phrase, mr.NEUTRAL_TEXT])
    .map(({ embedding }) => embedding) as [Float32Array, Float32Array];
  const saliency = await new mr.ImageSaliency(model, image, { k: 64, neutral: nothing }).map(text);

  // The border along edges, the largest regions, their boxes, points inside. Every draw comes from the stream.
  const options = mr.forChannels(mr.REGION_PRESETS.paper, image.channels);
  const { boxes, points, mask, fallback } = mr.promptFromSaliency(saliency.map, options, {
    random: new mr.Random(file),
    image,
  });

  // What is known of the class in general; an AnswerProvider would say something about this image.
  const known = await mr.cardKnowledge().knowledge({ className, modality }, new AbortController().signal);

  const picture = mr.drawOverlay(image, [
    { kind: 'mask', mask, colour: mr.COLOURS.sky, opacity: 0.35, contourPx: 2 },
    ...boxes.map((box) => ({ kind: 'box', box, colour: mr.COLOURS.orange, linePx: 2 }) as const),
    ...points.map((point) => ({ kind: 'point', point, colour: mr.COLOURS.green, radiusPx: 4 }) as const),
  ]);
  const { sensitivity, warnings } = saliency;
  return { boxes, points, fallback, sensitivity, warnings, knowledge: known?.text, picture };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, className, modality, weights] = process.argv.slice(2);
  if (weights === undefined) throw new mr.UsageError('prompt-one-image IMAGE CLASS MODALITY WEIGHTS');
  const { picture, ...prompt } = await promptImage(file!, className!, modality!, weights);
  await mr.writeImagePng('prompt.png', picture);
  console.log(JSON.stringify(prompt, null, 2), '\nwrote prompt.png');
}
