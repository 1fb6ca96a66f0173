// Makes a checkout ready to run: npm packages, compiled TypeScript, an engine (libtorch) with a quick BLAS, and the
// addon built against it. Every part is looked at first and done only when needed, so that `npm test` and
// `npm run demo` can call this each time. Needs nothing but Node at the start.

import { ensureNpmPackages } from './lib/npm-packages.mjs';
import { ensureTypeScript, readStamp, writeStamp } from './lib/sources.mjs';
import { ROOT, run, StepError, seconds, step, tail } from './lib/steps.mjs';
import { installSystemPackages } from './lib/system-packages.mjs';

const USAGE = `Usage: npm run setup [-- OPTIONS]
  --search               look for libtorch anew: forget one chosen earlier through LIBTORCH or Python
  --no-system-packages   install nothing with apt; say what to install instead
  --help                 this text
Environment: LIBTORCH (a folder with include/ and lib/), MASKRANK_PYTHON, CXX, MASKRANK_BUILD_JOBS.`;
const OPTIONS = ['--search', '--no-system-packages', '--help'];

async function main(args) {
  const start = performance.now();
  const unknown = args.find((arg) => !OPTIONS.includes(arg));
  if (unknown) throw new StepError(`unknown option ${unknown}, allowed: ${OPTIONS.join(' ')}\n${USAGE}`, 2);
  if (args.includes('--help')) {
    console.log(USAGE);
    return;
  }
  const options = { search: args.includes('--search'), allowed: !args.includes('--no-system-packages') };
  checkNode();
  await ensureNpmPackages();
  const typeErrors = await ensureTypeScript();
  const tools = await import('../packages/torch/dist/engine/index.js');
  const { record, blas } = await ensureEngine(tools, options);
  await smokeTest(record);
  if (typeErrors) throw new StepError(typeErrors);
  console.log(
    `setup: ready: libtorch ${record.engine.version} (${whence(record.engine)}, ${tools.BLAS_NAMES[blas.kind]}) in ${seconds(start)}`,
  );
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new StepError(
    `Node ${process.versions.node} found, allowed: 20.19 or later. Install a newer Node.`,
    4,
  );
}

/** Finds the engine and a compiler, installs what the system lacks, builds the addon. */
async function ensureEngine(tools, { search, allowed }) {
  const {
    blasAdvice,
    buildAddon,
    expectedBlas,
    findCompiler,
    locateEngine,
    OTHER_ENGINES,
    readRecord,
    searchEngine,
  } = tools;
  const recorded = search ? null : (readRecord(tools.BUILD_DIR)?.engine ?? null);
  const found = searchEngine({ recorded }).engine;
  const noCompiler = !process.env.CXX && !works(findCompiler);
  const missing = [
    ...(found ? [] : ['libtorch-dev', 'libopenblas0-pthread']),
    ...(noCompiler ? ['g++'] : []),
  ];
  if (missing.length > 0)
    await installSystemPackages(missing, { allowed, elsewhere: found ? '' : OTHER_ENGINES });
  const engine = found ?? locateEngine();
  const advice = blasAdvice(expectedBlas(engine));
  if (advice) await replaceReferenceBlas(advice, allowed);

  let compiling = null;
  const onProgress = (line) => {
    if (compiling !== null) process.stdout.write('\n'); // it has waited for another build first
    compiling ??= performance.now();
    process.stdout.write(`setup: ${line} for libtorch ${engine.version} ... `);
  };
  const { record } = await buildAddon(engine, { onProgress });
  if (compiling !== null) process.stdout.write(`${seconds(compiling)}\n`);
  return { record, blas: expectedBlas(engine) };
}

/** A slow engine is better than none: without the right to install, it is only said. */
async function replaceReferenceBlas({ what }, allowed) {
  try {
    await installSystemPackages(['libopenblas0-pthread'], { allowed });
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.log(`setup: ${what}\n${error.message}`);
  }
}

/** One product of two tensors in a fresh process; a crash there cannot take setup along. */
async function smokeTest(record) {
  const state = `${record.key} ${record.inputsHash} ${process.version}`;
  if (readStamp().smoke === state) return;
  await step('trying the engine', async () => {
    const { MASKRANK_ENGINE_DIR: _, LIBTORCH: __, ...env } = process.env;
    const { status, output } = await run(process.execPath, [`${ROOT}scripts/lib/smoke.mjs`], { env });
    if (status !== 0)
      throw new StepError(`the addon was built, but does not run (exit ${status}):\n${tail(output)}`, 4);
    writeStamp({ smoke: state });
  });
}

function whence({ origin, root }) {
  return origin === 'system' ? 'system package' : `${origin === 'python' ? "Python's" : 'LIBTORCH'} ${root}`;
}

function works(attempt) {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // Our own errors explain themselves; anything else is a defect and shows where.
  const ours = error instanceof StepError || error?.name === 'EngineError';
  console.error(`\nsetup: ${ours ? error.message : (error?.stack ?? error)}`);
  process.exitCode = error instanceof StepError ? error.exitCode : ours ? 4 : 1;
}
