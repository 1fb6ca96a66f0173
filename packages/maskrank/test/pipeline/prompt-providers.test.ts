// Who answers and who knows, as configured: every key that changes an answer changes the identity, no other does; and what leaves
// the machine is told before it does, and recorded.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { saveMedvint } from '../../src/models/medvint/index.ts';
import { endpointsInUse, openAnswers, openKnowledge } from '../../src/pipeline/prompt/providers.ts';
import { privacyStatement } from '../../src/prompting/text/privacy.ts';
import { resolveConfig } from '../../src/run/resolve.ts';
import { MODEL_BYTES, tinyMedvint } from '../models/medvint/support.ts';
import { says, serve } from '../prompting/text/server.ts';
import { linesOf, makeData, must } from './prompt-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-providers-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const at = (name: string) => join(dir, name);
const never = new AbortController().signal;

const ENDPOINT = { 'text.endpoint.baseUrl': 'http://localhost:1/v1', 'text.endpoint.model': 'm' };
const requestOf = (use: string, flags: Record<string, string>) => ({
  config: resolveConfig({ flags: { 'prompts.use': use, ...flags } }).config,
  device: 'cpu',
  answersPath: at('answers.jsonl'),
  knowledgePath: at('cache/knowledge.jsonl'),
});
const answersOf = async (flags: Record<string, string>): Promise<string> => {
  const provider = await openAnswers(requestOf('box,vqa', flags));
  provider?.close?.();
  return provider?.identity as string;
};
const knowledgeOf = (flags: Record<string, string>): string => {
  const provider = openKnowledge(requestOf('box,knowledge', flags));
  provider?.close?.();
  return provider?.identity as string;
};

/** Settings of which each changes what is answered. */
const ASKED: Record<string, string> = {
  'text.endpoint.model': 'n',
  'text.endpoint.baseUrl': 'http://localhost:2/v1',
  'text.endpoint.maxTokens': '300',
  'text.endpoint.temperature': 'none',
  'text.endpoint.instructionRole': 'user',
  'text.endpoint.extra': '{"seed":1}',
};
/** Settings that change nothing of it. */
const PATIENCE: Record<string, string> = {
  'text.endpoint.timeoutS': '9',
  'text.endpoint.retries': '0',
  'text.endpoint.maxTokensField': 'max_completion_tokens',
  'text.endpoint.allowInsecure': 'true',
};

async function differ(identityOf: (flags: Record<string, string>) => string | Promise<string>, more: object) {
  const own = await identityOf({});
  const changed = Object.entries({ ...ASKED, ...more }) as [string, string][];
  const identities = await Promise.all(changed.map(([key, value]) => identityOf({ [key]: value })));
  expect(new Set([own, ...identities]).size).toBe(1 + changed.length);
  for (const [key, value] of Object.entries(PATIENCE))
    expect(await identityOf({ [key]: value }), key).toBe(own);
}

describe('identities', () => {
  it('of answers from an endpoint follow every key that changes an answer, and no other', async () => {
    const endpoint = (flags: Record<string, string>) =>
      answersOf({ 'text.answers': 'endpoint', ...ENDPOINT, ...flags });
    await differ(endpoint, {
      'text.endpoint.instruction': 'Be short.',
      'text.endpoint.image.maxSidePx': '300',
      'text.endpoint.image.format': 'jpeg',
    });
    const quality = (value: string) =>
      endpoint({ 'text.endpoint.image.format': 'jpeg', 'text.endpoint.image.quality': value });
    expect(await quality('80')).not.toBe(await quality('90'));
    expect(await endpoint({ 'text.endpoint.image.quality': '80' })).toBe(await endpoint({})); // png has none
    expect(await endpoint({ 'text.endpoint.knowledgePrompt': 'What?' })).toBe(await endpoint({}));
  });

  it('of knowledge from an endpoint likewise', async () => {
    const endpoint = (flags: Record<string, string>) =>
      knowledgeOf({ 'text.knowledge': 'endpoint', ...ENDPOINT, ...flags });
    await differ(endpoint, {
      'text.endpoint.knowledgePrompt': 'What is {class}?',
      'text.endpoint.knowledgeInstruction': 'You are brief.',
    });
    expect(endpoint({ 'text.endpoint.image.maxSidePx': '300' })).toBe(endpoint({}));
  });

  it('of MedVInT follow how tokens are chosen', async () => {
    const network = tinyMedvint();
    await saveMedvint(network, at('tiny.safetensors'));
    network.dispose();
    writeFileSync(at('tokenizer.model'), MODEL_BYTES);
    const medvint = (flags: Record<string, string>) =>
      answersOf({ 'text.answers': 'medvint', 'text.medvint.weights': at('tiny.safetensors'), ...flags });
    const sampled = (flags: Record<string, string>) =>
      medvint({ 'text.medvint.decoding': 'sampled', ...flags });
    const identities = await Promise.all([
      medvint({}),
      medvint({ 'text.medvint.maxNewTokens': '9' }),
      sampled({}),
      sampled({ 'text.medvint.temperature': '0.5' }),
      sampled({ 'text.medvint.topK': '50' }),
      sampled({ 'text.medvint.topP': '0.9' }),
      sampled({ 'text.medvint.seed': '1' }),
      sampled({ seed: '8' }),
    ]);
    expect(new Set(identities).size).toBe(identities.length);
    // The likeliest tokens know no temperature; the seed is the run's unless given.
    expect(await medvint({ 'text.medvint.temperature': '0.5' })).toBe(identities[0]);
    expect(await sampled({ 'text.medvint.seed': '7' })).toBe(identities[2]);
    for (const wrong of [
      { 'text.medvint.topP': '0' },
      { 'text.medvint.topK': '0' },
      { 'text.medvint.temperature': '0' },
    ])
      await expect(async () => sampled(wrong)).rejects.toThrow(UsageError);
  });
});

describe('knowledge from a file', () => {
  const about = { className: 'Liver', modality: 'CT' };
  const recorded = (path: string) =>
    openKnowledge(requestOf('knowledge', { 'text.knowledge': 'recorded', 'text.recordedKnowledge': path }));

  it('is lines of class and modality, or the knowledge.json of another run', async () => {
    writeFileSync(at('k.jsonl'), '{"class":"liver","modality":"ct","text":"A wedge."}\n');
    const line = await recorded(at('k.jsonl'))?.knowledge(about, never);
    expect(line).toMatchObject({ text: 'A wedge.', source: { provider: 'recorded' } });
    const kept = {
      schemaVersion: 1,
      knowledge: {
        6: {
          className: 'liver',
          text: 'A wedge.',
          source: { provider: 'endpoint', model: 'm', identity: 'x' },
        },
      },
    };
    writeFileSync(at('knowledge.json'), JSON.stringify(kept));
    const provider = recorded(at('knowledge.json'));
    expect(await provider?.knowledge(about, never)).toEqual({
      text: 'A wedge.',
      source: { provider: 'endpoint', model: 'm' },
    });
    expect(await provider?.knowledge({ className: 'spleen', modality: 'CT' }, never)).toBeNull();
    writeFileSync(at('k.jsonl'), '{"class":"liver","modality":"ct","text":"A cone."}\n');
    expect(recorded(at('k.jsonl'))?.identity).not.toBe(provider?.identity);
  });

  it('is refused where there is none, or something else', () => {
    expect(() => openKnowledge(requestOf('knowledge', { 'text.knowledge': 'recorded' }))).toThrow(
      /text.knowledge = recorded needs text.recordedKnowledge/,
    );
    writeFileSync(at('wrong.json'), '{"knowledge":{}}');
    for (const path of [at('wrong.json'), at('absent.json'), at('absent.jsonl')])
      expect(() => recorded(path)).toThrow(new RegExp(path.replaceAll('.', '\\.')));
  });
});

describe('what leaves the machine', () => {
  const told = (use: string, flags: Record<string, string>) =>
    privacyStatement(endpointsInUse(requestOf(use, flags).config));
  const away = { ...ENDPOINT, 'text.endpoint.baseUrl': 'https://api.example.org/v1' };

  it('is only what is configured, chosen and in use', () => {
    const nothing = 'Nothing leaves this machine: no endpoint is in use.';
    expect(told('box,point', {})).toBe(nothing);
    expect(told('box,vqa', { ...away, 'text.answers': 'recorded' })).toBe(nothing);
    expect(told('box,knowledge', { ...away, 'text.answers': 'endpoint' })).toBe(nothing);
    expect(told('vqa,knowledge', { ...away, 'text.answers': 'endpoint', 'text.knowledge': 'endpoint' })).toBe(
      'Data leave this machine: pixels of the images and questions go to https://api.example.org/v1; names of classes and modality go to https://api.example.org/v1.',
    );
  });

  it('is printed by maskrank prompt before it does, and stands in the run’s record', async () => {
    const { data, config } = await makeData(dir, { cases: 6 });
    const server = await serve(says('Oval.'));
    const run = at('run');
    const ask = [
      '--text.answers',
      'endpoint',
      '--text.endpoint.base-url',
      server.baseUrl,
      '--text.endpoint.model',
      'm',
    ];
    const form = ['--text.endpoint.image.format', 'jpeg', '--text.endpoint.extra', '{"seed":3}'];
    const { stderr } = await must([
      ...['prompt', data, '--run', run, '--config', config, '--prompts', 'box,vqa', ...ask, ...form],
    ]);
    const sentence = `Nothing leaves this machine: pixels of the images and questions go to ${server.baseUrl} on this machine.`;
    expect(stderr).toContain(sentence);
    const recordOf = () => JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    expect(recordOf().history.at(-1)).toMatchObject({ privacy: sentence, exitCode: 0 });
    const log = readFileSync(join(run, 'log.jsonl'), 'utf8');
    expect(
      JSON.parse(log.split('\n').find((line) => line.includes('leavesMachine')) as string),
    ).toMatchObject({
      leavesMachine: false,
      privacy: sentence,
    });
    const asked = server.received.length;
    expect(asked).toBe(linesOf(run).length);
    expect(server.received[0]?.body).toMatchObject({ seed: 3 });
    expect(JSON.stringify(server.received[0]?.body)).toContain('data:image/jpeg;base64,');
    // The same command asks nothing again; another temperature asks all again.
    await must(['prompt', '--run', run]);
    expect(server.received).toHaveLength(asked);
    await must(['prompt', '--run', run, '--text.endpoint.temperature', '1']);
    expect(server.received).toHaveLength(2 * asked);
    // Without answers nobody is asked, whatever is configured.
    const { stderr: quiet } = await must(['prompt', '--run', run, '--prompts', 'box']);
    expect(quiet).toContain('Nothing leaves this machine: no endpoint is in use.');
    await server.close();
  });

  it.each(['[1]', 'no JSON', '"text"'])('extra fields that are no object are refused: %s', async (extra) => {
    const flags = { 'text.answers': 'endpoint', ...ENDPOINT, 'text.endpoint.extra': extra };
    await expect(answersOf(flags)).rejects.toThrow(/text.endpoint.extra = .*an object in JSON/);
  });
});
