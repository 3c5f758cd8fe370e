// npm test: set-up, lint, types, unit tests, and every notebook on the tiny preset, offline.
// The last line is `N passed, N failed`: it counts lint, types, each unit test and each notebook.
// For developers: npm test -- [--only lint|types|unit|notebooks[,…]] [part of a file name …]
import fs from 'node:fs';
import path from 'node:path';
import { cache, inRoot, listNotebooks, readJson } from './lib/project.mjs';
import { passThrough, runNotebooks } from './lib/notebooks.mjs';
import { modulesProblem, setUp } from './lib/setup.mjs';
import { Problem, runMain, seconds } from './lib/steps.mjs';

const PARTS = ['lint', 'types', 'unit', 'notebooks'];
const bin = (...parts) => inRoot('node_modules', ...parts);
const node = (args, env = {}) => passThrough(process.execPath, args, { ...process.env, ...env });

const offline = {
  HF_HUB_OFFLINE: '1',
  NODE_OPTIONS: `--require=${JSON.stringify(inRoot('scripts', 'lib', 'offline.cjs'))}`,
};

function parse(args) {
  const parts = [];
  const filters = [];
  for (let i = 0; i < args.length; i += 1) {
    if (args[i] === '--only') parts.push(...(args[(i += 1)] ?? '').split(','));
    else if (args[i].startsWith('-'))
      throw new Problem(`unknown option ${args[i]}; known: --only ${PARTS.join('|')}`);
    else filters.push(args[i]);
  }
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Problem(`--only ${unknown}: expected ${PARTS.join(', ')}`);
  return {
    parts: parts.length ? parts : PARTS,
    matches: (file) => !filters.length || filters.some((text) => file.includes(text)),
  };
}

/** Runs one part that counts as a whole. */
async function whole(name, args) {
  const since = Date.now();
  const ok = (await node(args)) === 0;
  console.log(`${name}: ${ok ? 'ok' : 'FAILED'} (${seconds(since)})`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
}

async function unit(matches) {
  const files = fs
    .readdirSync(inRoot('tests'))
    .filter((name) => name.endsWith('.test.ts') && matches(name))
    .sort();
  if (files.length === 0) return nothing('no unit test matches');
  const report = path.join(cache, `unit-${process.pid}.tap`);
  const code = await node(
    [
      '--import',
      'tsx',
      '--test',
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      '--test-reporter=tap',
      `--test-reporter-destination=${report}`,
      ...files.map((name) => path.join('tests', name)),
    ],
    offline,
  );
  const counts = countTap(fs.existsSync(report) ? fs.readFileSync(report, 'utf8') : '');
  fs.rmSync(report, { force: true });
  if (counts.passed + counts.failed === 0) return nothing('the unit tests reported nothing');
  return { passed: counts.passed, failed: code !== 0 && counts.failed === 0 ? 1 : counts.failed };
}

/** Node writes its totals as comments at the end: `# pass 12`. A cancelled test has not passed. */
function countTap(text) {
  const total = (word) => Number([...text.matchAll(new RegExp(`^# ${word} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0);
  return { passed: total('pass'), failed: total('fail') + total('cancelled') };
}

async function notebooks(matches) {
  const files = listNotebooks().filter((file) => matches(path.basename(file)));
  if (files.length === 0) return nothing('no notebook matches');
  const run = `tiny-test-${process.pid}`;
  const folder = inRoot('data', 'runs', run);
  const results = path.join(cache, `${run}.json`);
  const environment = {
    SOFT_PROMPTS_PRESET: 'tiny',
    SOFT_PROMPTS_RUN: run,
    SOFT_PROMPTS_FIGURES: path.join(folder, 'figures'),
    ...offline,
  };
  try {
    const output = path.join(folder, 'notebooks');
    const code = await runNotebooks(files, { output, environment, keepGoing: true, results });
    if (code === 130) throw new Problem('stopped');
    const passed = (readJson(results) ?? []).filter((record) => record.ok).length;
    return { passed, failed: files.length - passed };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
    fs.rmSync(results, { force: true });
  }
}

function nothing(why) {
  console.log(`FAILED: ${why}`);
  return { passed: 0, failed: 1 };
}

const run = {
  lint: () => whole('lint', [bin('eslint', 'bin', 'eslint.js'), 'lib', 'tests', 'scripts', 'bench']),
  types: () =>
    whole('types', [bin('typescript', 'bin', 'tsc'), '--noEmit', '-p', inRoot('tests', 'tsconfig.json')]),
  unit,
  notebooks,
};

await runMain(async () => {
  const { parts, matches } = parse(process.argv.slice(2));
  const total = { passed: 0, failed: 0 };
  let stopped = false;
  process.on('SIGINT', () => {
    stopped = true;
  });
  const problem = await makeReady(parts);
  if (problem) {
    console.log(problem);
    total.failed += 1;
  }
  for (const part of parts) {
    console.log(`\n--- ${part} ---`);
    const { passed, failed } = await run[part](matches);
    if (stopped) throw new Problem('stopped');
    total.passed += passed;
    total.failed += failed;
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
});

/** Set-up; lib that does not compile is one failure among the others, not the end. */
async function makeReady(parts) {
  if (modulesProblem()) throw new Problem(`${modulesProblem()}; mend: npm ci`);
  try {
    await setUp({ quiet: true, build: parts.includes('notebooks') || parts.includes('unit') });
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}
