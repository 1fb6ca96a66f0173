// Runs the golden checks over a folder of fixtures. Knows no particular fixture: what exists is what the folder holds.

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors } from '@maskrank/torch/io';
import { CHECKS } from './registry.ts';
import type { CheckResult, Fixture } from './types.ts';

export type FixtureReport =
  | { readonly fixture: string; readonly status: 'not covered' }
  | {
      readonly fixture: string;
      readonly status: 'checked';
      readonly elapsedMs: number;
      readonly results: readonly CheckResult[];
    };

/** Names of the fixtures in a folder: one for each NAME.json, sorted. */
export function listFixtures(dir: string): string[] {
  if (!existsSync(dir))
    throw new DataError(
      `golden: ${dir} does not exist; give the folder that holds NAME.json and NAME.safetensors`,
    );
  return readdirSync(dir)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

async function loadFixture(dir: string, name: string): Promise<Fixture> {
  const json = JSON.parse(await readFile(join(dir, `${name}.json`), 'utf8'));
  const path = join(dir, `${name}.safetensors`);
  const tensors = existsSync(path) ? (await readSafetensors(path)).tensors : new Map();
  return { name, json, tensors, dir };
}

/** Every comparison of one fixture. A check that throws is a failed comparison, with the error's message. */
export async function checkFixture(dir: string, name: string): Promise<FixtureReport> {
  const checks = CHECKS.filter((check) => check.covers(name));
  if (checks.length === 0) return { fixture: name, status: 'not covered' };
  const fixture = await loadFixture(dir, name);
  const start = performance.now();
  const results: CheckResult[] = [];
  for (const check of checks) {
    try {
      results.push(...(await check.run(fixture)));
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      results.push({ what: 'the check itself', ok: false, maxError: Number.NaN, tolerance: 'runs', detail });
    }
  }
  if (results.length === 0)
    results.push({
      what: 'comparisons',
      ok: false,
      maxError: Number.NaN,
      tolerance: 'at least one',
      detail: 'none was made',
    });
  return { fixture: name, status: 'checked', elapsedMs: performance.now() - start, results };
}
