import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { headerFromMetadata, headerToMetadata, refuseStale } from '../../src/run/header.ts';
import { resolveConfig } from '../../src/run/resolve.ts';
import { RunFolder, type RunMode, readRunConfig } from '../../src/run/run-folder.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-run-'));
afterAll(() => rmSync(dir, { recursive: true }));
let folders = 0;
const fresh = () => join(dir, `run${folders++}`);
const versions = { maskrank: '0.1.0', node: '20.19.0', engine: null };
const open = (path: string, mode: RunMode = 'create', flags: Record<string, string> = {}) => {
  const run = readRunConfig(path);
  return RunFolder.open(path, {
    mode,
    command: `maskrank test --run ${path}`,
    versions,
    resolved: resolveConfig({ flags, ...(run && { run }) }),
  });
};
const record = (path: string) => JSON.parse(readFileSync(join(path, 'run.json'), 'utf8'));

describe('RunFolder', () => {
  it('records configuration, origins, versions and every command', async () => {
    const path = fresh();
    const first = await open(path, 'create', { 'training.batchSize': '4' });
    await first.setEngine('libtorch 1.13.0');
    await first.close(0);
    await (await open(path)).close(130);
    const written = record(path);
    expect(written.config.training.batchSize).toBe(4);
    expect(written.origins['training.batchSize']).toBe('flag --training.batch-size');
    expect(written.versions).toEqual({ ...versions, engine: 'libtorch 1.13.0' });
    expect(written.history.map((entry: { exitCode: number }) => entry.exitCode)).toEqual([0, 130]);
    expect(existsSync(join(path, 'run.lock'))).toBe(false);
    expect(existsSync(join(path, 'checkpoints'))).toBe(true);
  });

  it('keeps what a command wanted only when it began a stage or ended well', async () => {
    const path = fresh();
    const sections = ['training'] as const;
    const attempt = async (flags: Record<string, string>, exitCode: number, enter: boolean) => {
      const run = await open(path, 'create', flags);
      const { config } = resolveConfig({ flags });
      if (enter) await run.enterStage('stage1', config, { sections, madeFrom: {} }).catch(() => {});
      await run.close(exitCode);
      return readRunConfig(path)?.config.training.batchSize;
    };
    expect(await attempt({ 'training.batchSize': '2' }, 2, false)).toBeUndefined();
    expect(await attempt({ 'training.batchSize': '3' }, 130, true)).toBe(3);
    expect(await attempt({ 'training.batchSize': '4' }, 2, true)).toBe(3);
    expect(await attempt({ 'training.batchSize': '5' }, 0, false)).toBe(5);
  });

  it('lets one write and others read', async () => {
    const path = fresh();
    const writer = await open(path);
    await expect(open(path, 'write')).rejects.toThrow(UsageError);
    const reader = await open(path, 'read');
    await expect(reader.setEngine('x')).rejects.toThrow(/opened for reading/);
    await reader.close(0);
    await writer.close(0);
    await (await open(path, 'write')).close(0);
  });

  it('refuses what is no run, and never writes into a foreign folder', async () => {
    await expect(open(fresh(), 'write')).rejects.toThrow(/is not a run \(no run\.json\)/);
    const foreign = fresh();
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'thesis.docx'), '');
    await expect(open(foreign)).rejects.toThrow(/is not a run and not empty \(thesis\.docx/);
    const blocked = join(foreign, 'thesis.docx', 'run');
    await expect(open(blocked)).rejects.toThrow(DataError);
  });

  it('refuses a damaged or newer run.json with its place', async () => {
    const path = fresh();
    await (await open(path)).close(0);
    const good = record(path);
    writeFileSync(join(path, 'run.json'), '{"schemaVersion": 1');
    await expect(async () => open(path)).rejects.toThrow(
      /run\.json: the record of the run is not valid JSON/,
    );
    writeFileSync(join(path, 'run.json'), JSON.stringify({ ...good, schemaVersion: 2 }));
    await expect(async () => open(path)).rejects.toThrow(
      /schemaVersion = 2, allowed: up to 1\. The run is of a newer maskrank/,
    );
    writeFileSync(join(path, 'run.json'), JSON.stringify({ ...good, dataset: { path: 3 } }));
    await expect(async () => open(path)).rejects.toThrow(/dataset\.path/);
    writeFileSync(join(path, 'run.json'), JSON.stringify(good));
    await (await open(path)).close(0);
  });

  it('belongs to one dataset', async () => {
    const run = await open(fresh());
    expect(() => run.requireDataset()).toThrow(/no dataset is recorded yet/);
    await run.setDataset('/data/mistaken', 'cccc');
    await run.setDataset('/data/a', 'aaaa');
    await run.enterStage('stage1', resolveConfig().config, { sections: ['training'], madeFrom: {} });
    await run.setDataset('/moved/a', 'aaaa');
    expect(run.requireDataset()).toEqual({ path: '/moved/a', hash: 'aaaa' });
    await expect(run.setDataset('/data/b', 'bbbb')).rejects.toThrow(
      /belongs to dataset aaaa .*\/data\/b is bbbb\. Use a new --run/,
    );
    await run.close(0);
  });

  it('resumes a stage with equal values and refuses others, naming each', async () => {
    const path = fresh();
    const sections = ['training', 'model'] as const;
    const enter = async (
      flags: Record<string, string>,
      madeFrom: Record<string, string>,
      restart = false,
    ) => {
      const run = await open(path, 'create', flags);
      try {
        return await run.enterStage('finetune', resolveConfig({ flags }).config, {
          sections,
          madeFrom,
          restart,
        });
      } finally {
        await run.close(0);
      }
    };
    const first = await enter({}, { dataset: 'd1' });
    expect(first).toMatchObject({
      resumed: false,
      finished: false,
      header: { schemaVersion: 1, madeFrom: { dataset: 'd1' } },
    });
    expect(await enter({ 'alignment.epochs': '3', device: 'cpu' }, { dataset: 'd1' })).toMatchObject({
      resumed: true,
    });
    const changed = enter({ 'training.batchSize': '4', seed: '8' }, { dataset: 'd2' });
    await expect(changed).rejects.toThrow(UsageError);
    await expect(changed).rejects.toThrow(
      /seed was 7, now 8; training\.batchSize was 8, now 4; dataset was d1, now d2/,
    );
    expect(await enter({ 'training.batchSize': '4' }, { dataset: 'd1' }, true)).toMatchObject({
      resumed: false,
    });
    const run = await open(path);
    await run.finishStage('finetune');
    await run.close(0);
    expect(await enter({ 'training.batchSize': '4' }, { dataset: 'd1' })).toMatchObject({
      resumed: true,
      finished: true,
    });
  });
});

describe('artefact headers', () => {
  const header = {
    schemaVersion: 1,
    configHash: 'c'.repeat(64),
    madeFrom: { 'checkpoint stage1': 'a'.repeat(64), dataset: 'd' },
  };
  const expected = {
    schemaVersion: 1,
    madeFrom: { 'checkpoint stage1': 'a'.repeat(64) },
    rerun: 'maskrank propose --run r',
  };

  it('pass when nothing changed, also through safetensors metadata', () => {
    refuseStale('p', header, expected);
    refuseStale('p', headerFromMetadata(headerToMetadata(header)), {
      ...expected,
      configHash: header.configHash,
    });
    expect(headerFromMetadata({})).toBeUndefined();
    expect(headerFromMetadata({ maskrank: '{' })).toBeUndefined();
  });

  it.each([
    [undefined, expected, /p: has no header.*Make it anew: maskrank propose --run r/],
    [{ ...header, schemaVersion: 2 }, expected, /schemaVersion = 2, allowed: 1\. It is of a newer maskrank/],
    [
      header,
      { ...expected, madeFrom: { 'checkpoint stage1': 'b'.repeat(64) } },
      /stale: made from checkpoint stage1 aaaaaaaaaaaa, now it is bbbbbbbbbbbb\. Make it anew/,
    ],
    [header, { ...expected, madeFrom: { ratings: 'r' } }, /made from ratings \(unknown\), now it is r/],
    [
      header,
      { ...expected, configHash: 'e'.repeat(64) },
      /made with configuration cccccccccccc, now it is eeeeeeeeeeee/,
    ],
  ] as const)('are refused when stale (%#)', (found, wanted, message) => {
    expect(() => refuseStale('p', found, wanted)).toThrow(DataError);
    expect(() => refuseStale('p', found, wanted)).toThrow(message);
  });
});
