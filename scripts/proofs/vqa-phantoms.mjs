// How many answers of a small MedVInT are exact: on phantoms of all families that it was not trained on, and on real images by
// what their masks say (side, location, size, shape), beside the most frequent answer to the same kind of question about the same
// class, counted on the very cases that are asked about.
//   npm run prove -- vqa-phantoms [WEIGHTS] [--cases 150] [--seed 9001] [--real DATASET,DATASET]
// WEIGHTS is a file of `maskrank pretrain vqa`, or a name of the weight store; medvint-tiny unless given. Real DATASETS are imported
// folders with masks, of which every case is asked about that has one.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { values } from '../lib/arguments.mjs';

const option = (args, name, fallback) => values(args, name)[0] ?? fallback;
const percent = (part, whole) => (whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`);

/** What phantoms call an image of that modality, and classes that they name otherwise. */
const IMAGES = { ultrasound: 'breast ultrasound image', ct: 'abdominal CT image', 'x-ray': 'chest x-ray' };
const NOUNS = { lung: { noun: 'lungs', plural: true } };

/** Needed of all questions about phantoms. */
const AIM = 0.85;

/** Part of the cases with the same answer from which on a kind of question tells nothing. */
const SAME = 0.9;

export const proof = {
  about: 'exact answers of a small MedVInT on phantoms and on masks of real images, by kind of question',
  minutes: 10,
  run: async ({ root, args, log }) => {
    const load = (path) => import(join(root, 'packages/maskrank/dist', path));
    const { setThreads } = await import(join(root, 'packages/torch/dist/index.js'));
    const { loadMedvint } = await load('models/medvint/index.js');
    const { resolveWeights } = await load('models/weights/index.js');
    const { TextIds } = await load('training/vqa/batch.js');
    const { ofOwnKind, readQuestions, withPrompted } = await load('training/vqa/questions.js');
    const { exactAnswers } = await load('training/vqa/score.js');
    const { endIdOf } = await load('training/vqa/train.js');
    const { makePhantoms, PHANTOM_FAMILIES, factQuestions, maskFacts, openDataset } =
      await load('datasets/index.js');
    const { resize } = await load('imaging/resample.js');
    const { Random } = await load('util/random.js');
    setThreads(Number(option(args, '--threads', '2')));
    const weights = await resolveWeights(
      args[0]?.startsWith('--') ? 'medvint-tiny' : (args[0] ?? 'medvint-tiny'),
    );
    const { network, tokenizer } = await loadMedvint(weights);
    const texts = new TextIds(tokenizer, endIdOf(network));
    const side = network.config.vision.imageSize;
    const shrunk = (image) => resize(image, { width: side, height: side }, { filter: 'cubic' });

    /** Exact answers and the baseline's, by kind. */
    const judge = async (asked) => {
      const counts = new Map();
      for (const { questions } of asked)
        for (const { kind, classId, answer } of questions) {
          const key = `${kind}|${classId}`;
          const answers = counts.get(key) ?? new Map();
          counts.set(key, answers.set(answer, (answers.get(answer) ?? 0) + 1));
        }
      const rows = new Map();
      const add = (kind, isRight, isUsual) => {
        const row = rows.get(kind) ?? { asked: 0, right: 0, usual: 0 };
        rows.set(kind, {
          asked: row.asked + 1,
          right: row.right + Number(isRight),
          usual: row.usual + Number(isUsual),
        });
      };
      let at = 0;
      for await (const some of exactAnswers(network, asked, texts))
        for (const exact of some) {
          for (const [q, { kind, classId, answer }] of asked[at++].questions.entries()) {
            const answers = counts.get(`${kind}|${classId}`);
            const usual = [...answers].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
            for (const name of ['all', kind]) add(name, exact[q], usual === answer);
          }
        }
      return rows;
    };

    /** Images of phantoms with the questions that came with them. */
    const phantoms = async (family) => {
      const dir = mkdtempSync(join(tmpdir(), 'maskrank-vqa-proof-'));
      try {
        const out = join(dir, family);
        await makePhantoms({
          family,
          cases: Number(option(args, '--cases', '150')),
          seed: option(args, '--seed', '9001'),
          out,
        });
        const opened = await openDataset(out);
        const questions = readQuestions(out);
        const asked = [];
        for (const item of opened.unlabelled(opened.dataset.cases.map(({ id }) => id))) {
          const own = questions.get(item.id) ?? [];
          if (own.length > 0) asked.push({ image: shrunk(await opened.loadImage(item)), questions: own });
        }
        return asked;
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    };

    /** Real images with questions whose answers their masks decide. */
    const real = async (folder) => {
      const opened = await openDataset(folder);
      const { classes, modality, cases } = opened.dataset;
      const image = IMAGES[modality] ?? 'image';
      const random = new Random('wordings');
      const asked = [];
      for (const item of opened.labelled(cases.filter(({ empty }) => !empty).map(({ id }) => id))) {
        const questions = [];
        for (const { id: classId, name } of classes) {
          if (!item.maskPaths.has(classId)) continue;
          const facts = maskFacts(await opened.loadMask(item, classId));
          if (facts === undefined) continue;
          const noun = { classId, noun: name, image, ...NOUNS[name] };
          const own = factQuestions(random, facts, noun).map(ofOwnKind);
          const prompted = withPrompted(own, { classes, modality }).filter((one) => !own.includes(one));
          questions.push(...own, ...prompted.map((one) => ({ ...one, kind: 'as prompting asks' })));
        }
        if (questions.length > 0) asked.push({ image: shrunk(await opened.loadImage(item)), questions });
      }
      return asked;
    };

    const print = (name, asked, rows) => {
      log(`${name}: ${asked.length} images`);
      for (const [kind, { asked: n, right, usual }] of rows)
        log(
          `  ${kind.padEnd(20)} ${`${n}`.padStart(6)} asked  ${percent(right, n).padStart(7)} exact  ${percent(usual, n).padStart(7)} by the most frequent answer`,
        );
    };
    const results = [];
    const total = { asked: 0, right: 0, usual: 0 };
    for (const { name } of PHANTOM_FAMILIES) {
      const asked = await phantoms(name);
      const rows = await judge(asked);
      print(`phantoms, ${name}`, asked, rows);
      for (const key of Object.keys(total)) total[key] += rows.get('all')[key];
    }
    results.push({
      what: `exact answers to all questions about phantoms: at least ${100 * AIM} %`,
      ok: total.right >= AIM * total.asked,
      detail: `${percent(total.right, total.asked)} of ${total.asked}; the most frequent answers: ${percent(total.usual, total.asked)}`,
    });
    for (const folder of option(args, '--real', '').split(',').filter(existsSync)) {
      const asked = await real(folder);
      const rows = await judge(asked);
      print(folder, asked, rows);
      for (const kind of ['side', 'location']) {
        const { asked: n, right, usual } = rows.get(kind);
        // Where nearly all cases have the same answer, there is nothing to be better at.
        if (usual > SAME * n) continue;
        results.push({
          what: `${kind} on ${folder}: more exact answers than by the most frequent one`,
          ok: right > usual,
          detail: `${percent(right, n)} of ${n}, against ${percent(usual, n)}`,
        });
      }
    }
    network.dispose();
    return results;
  },
};
