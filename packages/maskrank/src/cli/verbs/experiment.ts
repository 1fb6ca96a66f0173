// `maskrank experiment`: the paper's tables and figures on data sets of one's own.

import { DataError, UsageError } from '@maskrank/torch/errors';
import { EMPTIES_POLICIES } from '../../evaluation/overlap.ts';
import type { Gathered } from '../../experiments/gather.ts';
import { parseShard } from '../../pipeline/prompt/shard.ts';
import { wholeNumber, words } from '../option-values.ts';
import { duration } from '../progress.ts';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

const seedList = (text: string): number[] => words(text).map(wholeNumber(0));

export const experiment = defineVerb({
  name: 'experiment',
  summary: "the paper's tables and figures, or a definition of your own, on your data sets",
  details: `A definition (experiments/*.json) names methods, shares of the data and what of the configuration varies. With data sets
and seeds it becomes jobs: division, prompts, stage 1, stage 2, evaluation; baselines. Jobs that several rows share are done
once, finished ones never again; killed at any moment, the same command goes on. Every job is commands of maskrank in
processes of their own; OUT/jobs keeps their runs. Flags of the configuration hold for all jobs but where the experiment
varies them. Without a name it lists the definitions.`,
  examples: [
    ['maskrank experiment', 'lists the definitions'],
    [
      'maskrank experiment table2 breast=data/busi chest=data/covid --out study --plan',
      'what it would do and how long it would take',
    ],
    ['maskrank experiment table2 breast=data/busi --out study --jobs 2', 'two jobs at a time'],
    [
      'maskrank experiment table2 breast=data/busi --out study --shard 2/4',
      'one of four machines, one folder',
    ],
    ['maskrank experiment table2 breast=data/busi --out study --collect', 'tables of what is there'],
    [
      'maskrank experiment table2 breast=data/busi --out study --collect --empties one',
      'the same numbers, with a rightly empty mask counted as 1',
    ],
    [
      'maskrank experiment table2 breast=data/busi --out study --pack carried',
      'finished numbers without weights; its tables elsewhere: --out carried --collect',
    ],
  ],
  args: {
    definition: { name: 'NAME', describe: 'of a definition, or a JSON file', optional: true },
    data: {
      name: 'DATA',
      describe:
        'data sets, as chest=FOLDER breast=FOLDER; where a name is one of the paper, its numbers stand beside',
      optional: true,
      variadic: true,
    },
  },
  options: {
    out: { value: 'DIR', describe: 'folder of jobs, tables and figures; several experiments may share it' },
    seeds: { value: 'LIST', describe: "seeds; default the definition's", parse: seedList },
    arms: { value: 'LIST', describe: 'only these arms of the definition', parse: words },
    jobs: {
      value: 'NUMBER',
      describe: 'jobs at a time, where memory allows; default 1',
      parse: wholeNumber(1),
    },
    shard: {
      value: 'I/N',
      describe: 'only the I-th of N parts, beside other machines with the same folder',
      parse: parseShard,
    },
    plan: { describe: 'say what there is to do and what it costs, and do nothing' },
    calibrate: { describe: 'with --plan: a few steps of each kind first, to know what they cost' },
    collect: { describe: 'do nothing but write tables and figures of what is done' },
    pack: {
      value: 'DIR',
      describe:
        'do nothing but copy what tables need into a folder to carry: evaluations, divisions, judgements, commands, hashes; no weights',
    },
    empties: {
      choices: EMPTIES_POLICIES,
      describe:
        'what empty masks count in the tables, without repeating a job; default as they were measured',
    },
    annotationCost: {
      value: 'FILE',
      describe: "seconds of a person's work; default the one that comes with maskrank",
    },
  },
  sections: [
    'data',
    'model',
    'prompts',
    'clip',
    'saliency',
    'crf',
    'regions',
    'text',
    'training',
    'alignment',
    'scoring',
    'evaluation',
    'baselines',
  ],
  shortcuts: {
    model: 'model.name',
    weights: 'model.weights',
    prompts: 'prompts.use',
    preset: 'alignment.preset',
  },
  run: async (context) => {
    const { args, options, config, origins, out, warn, signal, command } = context;
    const { definitionNames, readDefinition } = await import('../../experiments/definition.ts');
    if (args.definition === undefined) {
      const found = definitionNames().map(readDefinition);
      out(textTable([['name', 'what'], ...found.map(({ name, title }) => [name, title])]));
      return {
        result: found.map(({ name, title, about }) => ({ name, title, about })),
        next: 'maskrank experiment NAME DATA --out DIR --plan',
      };
    }
    const { openExperiment, resultsFolder, writeResults } = await import('../../experiments/experiment.ts');
    const { gather } = await import('../../experiments/gather.ts');
    const { openPack, pack } = await import('../../experiments/pack.ts');
    const { commandText } = await import('../../experiments/schedule.ts');
    const { givenByPerson } = await import('../../experiments/settings.ts');
    const { registry } = await import('../registry.ts');
    const { runExperiment, planExperiment } = await import('../experiment-progress.ts');
    if (origins.seed !== 'default')
      throw new UsageError('--seed: an experiment has several; name them with --seeds 0,1,2.');
    if (options.out === undefined)
      throw new UsageError('maskrank experiment: missing --out DIR (folder of jobs, tables and figures).');
    const person = givenByPerson(config, origins);
    const { seeds, arms } = options;
    const asked = { definition: args.definition, out: options.out, seeds, arms, verbs: registry };
    const finish = async (gathered: Gathered) => {
      const { results, files, markdown } = await writeResults(gathered, options);
      const folder = resultsFolder(gathered, options);
      const { missing } = results;
      if (missing.length > 0 && options.shard === undefined)
        warn(`${missing.length} of ${missing.length + gathered.found.length} numbers are missing`);
      out(`\n${markdown}\nwrote ${folder}`);
      return {
        result: { folder, files, missing, results: results.results },
        ...(missing.length > 0 && options.shard !== undefined
          ? { next: `${command.replace(/ --shard [^ ]+/, '')} --collect` }
          : {}),
      };
    };
    if (options.collect && (args.data ?? []).length === 0) {
      const [stranger] = Object.keys(person);
      if (stranger !== undefined)
        throw new UsageError(
          `without data sets, tables are of what was packed, and ${stranger} changes nothing of it; leave the configuration out, or name the data sets.`,
        );
      return finish(await openPack(asked));
    }
    const opened = await openExperiment({ ...asked, data: args.data ?? [], person });
    const { jobs, leftOut } = opened.graph;
    for (const { method, data, why } of leftOut) warn(`${data}: ${method} is left out: ${why}`);
    const runs = { context, parallel: options.jobs ?? 1, device: config.device, threads: config.threads };
    if (options.plan) {
      const plan = await planExperiment(opened, { ...runs, calibrate: options.calibrate, person });
      return { result: plan, next: command.replace(/ --(plan|calibrate)\b/g, '') };
    }
    if (options.pack !== undefined) {
      const gathered = await gather(opened, signal);
      const packed = await pack(gathered, opened.graph, options.pack);
      out(`${gathered.found.length} numbers of ${packed.jobs} jobs are in ${options.pack}`);
      return {
        result: { folder: options.pack, jobs: packed.jobs, numbers: gathered.found.length },
        next: commandText(['experiment', opened.definition.name, '--out', options.pack, '--collect']),
      };
    }
    if (!options.collect) {
      const { failed, blocked, seconds } = await runExperiment(opened, { ...runs, shard: options.shard });
      if (failed.length > 0) {
        await writeResults(await gather(opened, signal), options);
        const list = failed.map(
          ({ job, message }) => `\n  ${job.title}: ${message}\n    all of it: ${opened.store.error(job)}`,
        );
        const waiting = blocked.length === 0 ? '' : `\n${blocked.length} jobs wait for them.`;
        return {
          result: {
            failed: failed.map(({ job, message }) => ({ job: job.folder, title: job.title, message })),
          },
          failure: new DataError(
            `${failed.length} of ${jobs.size} jobs failed:${list.join('')}${waiting}\nThe others are done. Mend what is wrong, then give the same command again.`,
          ),
        };
      }
      out(
        `every job of ${options.shard === undefined ? 'the experiment' : 'this part'} is done, ${duration(seconds)}`,
      );
    }
    return finish(await gather(opened, signal));
  },
});
