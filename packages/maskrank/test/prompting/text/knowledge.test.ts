import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { WordPiece } from '../../../src/models/clip/index.ts';
import { plainName } from '../../../src/prompting/text/class-words.ts';
import { CARDS, cardKnowledge, cardText, findCard } from '../../../src/prompting/text/knowledge/cards.ts';
import { endpointKnowledge } from '../../../src/prompting/text/knowledge/endpoint.ts';
import { recordedKnowledge } from '../../../src/prompting/text/knowledge/recorded.ts';
import { says, serve } from './server.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-knowledge-'));
afterAll(() => rmSync(dir, { recursive: true }));
const never = new AbortController().signal;

/** AMOS22's names as its dataset.json spells them. */
const AMOS = [
  'spleen',
  'right kidney',
  'left kidney',
  'gall bladder',
  'esophagus',
  'liver',
  'stomach',
  'arota',
  'postcava',
  'pancreas',
  'right adrenal gland',
  'left adrenal gland',
  'duodenum',
  'bladder',
  'prostate/uterus',
];

describe('cards', () => {
  it.each([
    ...AMOS.map((name) => [name, 'ct']),
    ['Left_Adrenal_Gland', 'CT'],
    ['Inferior Vena Cava', 'CT'],
    ['gallbladder', 'ct'],
    ['Oesophagus', 'ct'],
    ['prostate or uterus', 'ct'],
    ['lung', 'x-ray'],
    ['Normal Lungs', 'x-ray'],
    ['COVID-19', 'chest x-ray'],
    ['Non-COVID', 'x-ray'],
    ['breast lesion', 'ultrasound'],
    ['benign breast tumor', 'ultrasound'],
    ['malignant breast tumour', 'ultrasound'],
    ['normal breast', 'ultrasound'],
  ])('know %s on %s', async (className, modality) => {
    const found = await cardKnowledge().knowledge({ className, modality }, never);
    expect(found?.text.length).toBeGreaterThan(300);
    expect(found?.source).toMatchObject({ provider: 'cards', hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(found?.source.appearance).not.toBe('none');
  });

  it('know classes by their phrases as the importers write them', () => {
    const lesion = { className: 'lesion', prompts: ['benign breast tumor', 'malignant breast tumor'] };
    expect(findCard(lesion)?.names[0]).toBe('breast lesion');
    const infection = { className: 'infection', prompts: ['covid-19 infection in a chest x-ray'] };
    expect(findCard(infection)?.names[0]).toBe('covid 19 infection');
    expect(findCard({ className: 'benign', prompts: ['benign breast tumor'] })?.names[0]).toBe(
      'benign breast tumor',
    );
  });

  it('know nothing of other classes, nor of a lesion somewhere', async () => {
    for (const className of ['polyp', 'lesion', 'kidney stone', 'foreground'])
      expect(await cardKnowledge().knowledge({ className, modality: 'ct' }, never)).toBeNull();
  });

  it('say nothing of the appearance in other modalities', async () => {
    const liver = findCard({ className: 'liver' })!;
    expect(cardText(liver, 'ct')).toContain(liver.appearance.ct as string);
    expect(cardText(liver, 'MRI')).not.toContain('CT');
    const mr = await cardKnowledge().knowledge({ className: 'liver', modality: 'MRI' }, never);
    expect(mr?.source.appearance).toBe('none');
  });

  it('have names of their own, in plain form', () => {
    const names = CARDS.flatMap((card) => card.names);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(plainName(name)).toBe(name);
  });

  // A released BERT vocabulary splits these texts into at most 1.2 times their words and signs (141 pieces at most).
  it('leave room for an answer in 256 word pieces', () => {
    for (const card of CARDS) {
      const text = cardText(card, Object.keys(card.appearance)[0] as string);
      const wordsAndSigns = WordPiece.ofTexts([text]).tokenize(text).length;
      expect(1.25 * wordsAndSigns, card.names[0]).toBeLessThanOrEqual(156);
      expect(wordsAndSigns, card.names[0]).toBeGreaterThanOrEqual(80);
      expect(text).not.toContain('  ');
      for (const part of [
        card.location,
        card.shape,
        card.size,
        card.variability,
        ...Object.values(card.appearance),
      ])
        expect(part).toMatch(/^[A-Z].*\.$/);
    }
  });
});

describe('knowledge from an endpoint', () => {
  it('is asked once a class, recorded with its prompt, and found again', async () => {
    const server = await serve(says('A large wedge.'), says('A bean.'));
    const cachePath = join(dir, 'knowledge.jsonl');
    const options = {
      baseUrl: server.baseUrl,
      model: 'm',
      cachePath,
      environment: { MASKRANK_API_KEY: 'key-key-key' },
    };
    const first = endpointKnowledge(options);
    const liver = (await first.knowledge({ className: 'Liver', modality: 'CT' }, never))!;
    expect(liver.text).toBe('A large wedge.');
    expect(liver.source).toMatchObject({
      provider: 'endpoint',
      endpoint: server.baseUrl,
      leavesMachine: false,
      model: 'm',
      servedModel: 'small-vision',
      prompt: expect.stringContaining('Describe liver in CT images of adults'),
      at: expect.stringMatching(/^\d{4}-/),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(server.received[0]?.body.messages).toEqual([{ role: 'user', content: liver.source.prompt }]);
    expect(await first.knowledge({ className: 'liver', modality: 'ct' }, never)).toEqual(liver);
    first.close();
    const second = endpointKnowledge(options);
    expect(second.identity).toBe(first.identity);
    expect(await second.knowledge({ className: 'liver', modality: 'ct' }, never)).toEqual(liver);
    expect(server.received).toHaveLength(1);
    await second.knowledge({ className: 'left kidney', modality: 'ct' }, never);
    expect(server.received).toHaveLength(2);
    second.close();
    await server.close();
    expect(readFileSync(cachePath, 'utf8')).not.toContain('key-key-key');

    const alone = recordedKnowledge(cachePath);
    expect(await alone.knowledge({ className: 'LIVER', modality: 'ct' }, never)).toEqual(liver);
    expect(await alone.knowledge({ className: 'spleen', modality: 'ct' }, never)).toBeNull();
  });

  it('asks anew for another model or prompt', async () => {
    const server = await serve(says('One.'), says('Two.'), says('Three.'));
    const options = {
      baseUrl: server.baseUrl,
      model: 'a',
      cachePath: join(dir, 'many.jsonl'),
      environment: {},
    };
    const texts: (string | undefined)[] = [];
    for (const more of [{}, { model: 'b' }, { prompt: 'What is $& {class}?' }, {}]) {
      const provider = endpointKnowledge({ ...options, ...more });
      texts.push((await provider.knowledge({ className: 'liver', modality: 'ct' }, never))?.text);
      provider.close();
    }
    expect(texts).toEqual(['One.', 'Two.', 'Three.', 'One.']);
    expect(server.received[2]?.body.messages[0].content).toBe('What is $& liver?');
    await server.close();
  });

  it('may be written by hand', async () => {
    const path = join(dir, 'hand.jsonl');
    writeFileSync(path, '{"class":"polyp","modality":"endoscopy","text":"A bump."}\n');
    const provider = recordedKnowledge(path);
    const found = await provider.knowledge({ className: 'Polyp', modality: 'Endoscopy' }, never);
    expect(found).toMatchObject({ text: 'A bump.', source: { provider: 'recorded' } });
    writeFileSync(path, '{"class":"polyp","text":"A bump."}\n');
    expect(() => recordedKnowledge(path)).toThrow(DataError);
    expect(existsSync(join(dir, 'absent.jsonl'))).toBe(false);
    expect(() => recordedKnowledge(join(dir, 'absent.jsonl'))).toThrow(DataError);
  });
});
