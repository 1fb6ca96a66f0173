// `npm run bench -- [--json] [--device cpu|cuda] [--threads N] [--rounds N] [--whole] [NAME...]`: every figure beside its physical limit
// and, with MASKRANK_PYTHON, beside the same work in that interpreter's PyTorch. Exits 1 when a figure misses its aim.

import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { MaskrankError, UsageError } from '@maskrank/torch/errors';
import { BENCHES } from './registry.ts';
import { type BenchOptions, type BenchResult, meets } from './types.ts';

const USAGE = `usage: npm run bench -- [--json] [--device cpu|cuda] [--threads N] [--rounds N] [--whole] [NAME...]
names: ${Object.keys(BENCHES).join(', ')}; MASKRANK_PYTHON names a Python that has torch, for its figures beside ours`;

type Report = { readonly bench: string; readonly describe: string; readonly results: readonly BenchResult[] };

function figure(value: number, unit: string): string {
  return `${Number.isInteger(value) ? value : Number(value.toPrecision(4))} ${unit}`;
}

function line(result: BenchResult): string {
  const { what, value, unit, limit, peer, aim } = result;
  const beside = [
    ...(limit ? [`limit ${figure(limit.value, unit)} (${limit.what})`] : []),
    ...(peer ? [`peer ${figure(peer.value, unit)} (${peer.what})`] : []),
    ...(aim ? [`aim ${aim.comparison} ${figure(aim.value, unit)}: ${meets(result) ? 'met' : 'MISSED'}`] : []),
  ];
  return `  ${what}: ${figure(value, unit)}${beside.map((text) => `\n      ${text}`).join('')}`;
}

function wholeNumber(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UsageError(`bench: --${name} is '${text}', allowed: whole numbers from 1\n${USAGE}`);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        device: { type: 'string', default: 'cpu' },
        threads: { type: 'string' },
        rounds: { type: 'string' },
        whole: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`bench: ${(error as Error).message}\n${USAGE}`);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
  const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length > 0) throw new UsageError(`bench: there is no ${unknown.join(', ')}\n${USAGE}`);
  const { device } = values;
  if (device !== 'cpu' && device !== 'cuda')
    throw new UsageError(`bench: --device is '${device}', allowed: cpu, cuda\n${USAGE}`);

  const { engineVersion, getThreads, setThreads } = await import('@maskrank/torch');
  setThreads(wholeNumber('threads', values.threads, availableParallelism()));
  const options: BenchOptions = {
    device,
    threads: getThreads(),
    rounds: wholeNumber('rounds', values.rounds, 5),
    whole: values.whole,
    python: process.env.MASKRANK_PYTHON || null,
  };
  const machine = {
    libtorch: engineVersion().version,
    threads: options.threads,
    device,
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    node: process.version,
  };
  const say = values.json ? () => {} : console.log;
  say(
    Object.entries(machine)
      .map(([key, value]) => `${key} ${value}`)
      .join(', '),
  );
  const reports: Report[] = [];
  for (const name of names) {
    const bench = await (BENCHES[name] as (typeof BENCHES)[string])();
    say(`\n${name}: ${bench.describe}`);
    const results = await bench.run(options);
    for (const result of results) say(line(result));
    reports.push({ bench: name, describe: bench.describe, results });
  }
  const missed = reports.flatMap(({ results }) => results).filter((result) => meets(result) === false);
  if (values.json) {
    const withVerdict = reports.map((report) => ({
      ...report,
      results: report.results.map((result) => ({ ...result, meetsAim: meets(result) })),
    }));
    console.log(JSON.stringify({ schemaVersion: 1, machine, benches: withVerdict }, null, 2));
  } else say(`\n${missed.length === 0 ? 'every aim met' : `${missed.length} missed`}`);
  return missed.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof MaskrankError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 4;
}
