// `maskrank prompt`: boxes, points and text for every case, with nobody in the loop.

import { DataError, UsageError } from '@maskrank/torch/errors';
import { parseShard } from '../../pipeline/prompt/shard.ts';
import { wholeNumber } from '../option-values.ts';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

export const prompt = defineVerb({
  name: 'prompt',
  summary: 'boxes, points and text for every case from a vision-language model, without masks',
  details: `Shows each image to the network of clip.weights, asks where it sees the class (saliency), draws the foreground along
edges (dense CRF), keeps the largest regions, boxes them and draws points inside; with --prompts also the answer to a visual
question (vqa) and what is known of the class (knowledge). Writes RUN/prompts.jsonl, a line a case and class. Masks are not
read, except to measure the prompts of labelled and validation cases when all are made. Stopped or killed at any moment, the
same command goes on; --shard divides the work among several commands.`,
  examples: [
    [
      'maskrank prompt data/busi --run runs/busi --clip.weights biomedclip',
      'boxes and points; then: --prompts.unlabelled saliency --prompts.test saliency',
    ],
    [
      'maskrank prompt --run runs/busi --prompts box,point,vqa,knowledge --text.answers recorded --text.recorded answers.jsonl',
      'with text',
    ],
    ['maskrank prompt --run runs/busi --shard 2/8', 'the second of eight parts, beside the others'],
    ['maskrank prompt --run runs/busi --maps --preview', 'with pictures to look at'],
  ],
  args: {
    dataset: {
      name: 'DATASET',
      describe: 'folder of the dataset; known already when a run goes on',
      optional: true,
    },
  },
  options: {
    shard: {
      value: 'I/N',
      describe:
        'only the I-th of N parts of the cases; several commands may work in one run, on several machines',
      parse: parseShard,
    },
    merge: {
      describe: 'make nothing, put together what the parts have made (the last part does it by itself)',
    },
    maps: { describe: 'also write every map to RUN/prompt-maps, 8 bit PNG' },
    preview: { describe: 'also draw RUN/prompt-preview.png: image, saliency, foreground, boxes and points' },
    previewCases: { value: 'NUMBER', describe: 'rows of the preview; default 12', parse: wholeNumber(1) },
    quality: {
      describe:
        'measure the prompts of unlabelled and test cases, too: reads masks that are hidden from everything else',
    },
  },
  sections: ['data', 'prompts', 'clip', 'saliency', 'crf', 'regions', 'text'],
  shortcuts: { prompts: 'prompts.use' },
  runFolder: { mode: 'create', sharedWith: 'shard' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { promptJob } = await import('../../pipeline/prompt/job.ts');
    const { qualityTable, countTable } = await import('../../pipeline/prompt/tables.ts');
    const { args, options, runFolder, out, warn } = context;
    const { shard = null, merge, maps, preview, previewCases = 12, quality } = options;
    if (merge && shard !== null)
      throw new UsageError('--merge puts all parts together: give it without --shard.');
    const result = await runJob(context, (job) =>
      promptJob(job, args.dataset, {
        shard,
        mergeOnly: merge,
        maps,
        previewCases: preview ? previewCases : 0,
        hiddenQuality: quality,
      }),
    );
    const { made, reused, kept, missing, cases } = result;
    const there = [reused > 0 ? `${reused} were there` : '', kept > 0 ? `${kept} of a person's stay` : ''];
    out([`${made} prompts made`, ...there, `${cases} cases`].filter(Boolean).join(', '));
    if (!result.complete) {
      const rest = `${missing} prompts are still missing`;
      if (merge)
        return {
          result,
          failure: new DataError(
            `${runFolder.dir}: ${rest}; run the parts that make them, or prompt without --shard.`,
          ),
        };
      out(`wrote ${result.path}\n${rest}: the last part puts them together`);
      return { result, next: `maskrank prompt --run ${runFolder.dir} --merge` };
    }
    out(textTable(countTable(result.counts)));
    if (result.quality !== null) {
      if (result.quality.hiddenMasks)
        warn(
          'the quality of unlabelled and test prompts was measured against HIDDEN MASKS; nothing was changed by it',
        );
      out(
        `\nquality, measured against ${result.quality.measuredAgainst}\n${textTable(qualityTable(result.quality))}`,
      );
    }
    out(`wrote ${result.path}${result.preview === null ? '' : ` and ${result.preview}`}`);
    if (result.randomWeights)
      warn('all of this was made with random weights and means nothing (clip.weights)');
    return {
      result,
      next: `maskrank finetune --run ${runFolder.dir} --prompts.unlabelled saliency --prompts.test saliency`,
    };
  },
});
