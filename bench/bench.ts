/**
 * What this machine does, in one run: `npm run bench`. Every line is measured in fresh processes, as training uses
 * them: one single-threaded process a core below a billion parameters, one with all threads above.
 */
import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { workerEnvironment } from '../lib/crew';
import { projectFolder, writeJsonAtomic } from '../lib/files';
import { printDrift } from './drift';
import type { Measured, Measurement } from './measure';
import { printProfile } from './profile';

interface Benchmark {
  readonly request: Omit<Measurement, 'seconds' | 'threads' | 'runsPerStep'>;
  readonly runs: readonly number[];
  /** one process with all threads, as for a model of a billion parameters */
  readonly single?: boolean;
  /** of what examplesPerSecond counts */
  readonly unit: string;
}

const checkpoint = join(projectFolder, '.cache', 'gpt2-xl-random');
const train = (model: Measurement['model'], runs: number[], single = false): Benchmark => (
  { request: { kind: 'train', model }, runs, single, unit: 'examples' });
const evaluation = (model: Measurement['model']): Benchmark => (
  { request: { kind: 'evaluate', model }, runs: [10], unit: 'examples' });

const BENCHMARKS: Readonly<Record<string, readonly Benchmark[]>> = {
  'train-embedded': [train('embedded', [1, 10, 60])],
  'train-6x256': [train('6x256', [1, 10, 60])],
  'train-124m': [train('124m', [1, 10, 20, 60])],
  'train-xl': [train('xl', [1, 4], true)],
  evaluate: [evaluation('embedded'), evaluation('6x256'), evaluation('124m')],
  neighbourhoods: [{ request: { kind: 'neighbourhoods', model: 'xl' }, runs: [1], single: true, unit: 'queries' }],
  'load-xl': [{ request: { kind: 'load', model: 'xl', folder: checkpoint }, runs: [1], single: true, unit: 'GB' }],
  // tables of their own
  analysis: [],
  drift: [],
  profile: [],
};

const USAGE = `npm run bench -- [options]   measures this machine; the whole takes about 15 minutes on two cores

  --only A,B      only these: ${Object.keys(BENCHMARKS).join(', ')}
  --runs N,M      runs a step instead of the usual ones
  --model NAME    of a benchmark with several models, only this one
  --seconds X     how long each is measured (default 20)
  --json FILE     write the rows as JSON too
  --help          this text

profile says where the time of a training step goes (30 runs, unless --runs says otherwise).
analysis compares with NumPy and a loop over pairs: PYTHON (default python3) needs numpy and scipy.
load-xl reads ${checkpoint}; make it (6.2 GB) with
  node bench/make-checkpoint.mjs xl ${checkpoint}`;

/** A line of the table. */
interface Row {
  readonly benchmark: string;
  readonly model: string;
  readonly runsPerStep: number;
  readonly processes: number;
  readonly examplesPerSecond: number;
  readonly unit: string;
  /** in products with the weights; 0: not counted */
  readonly gflops: number;
  /** of a 2048³ float32 product, in as many processes at once */
  readonly peakGflops: number;
  /** of the step's products with the weights at their shapes, with nothing between them; 0: not measured */
  readonly productGflops: number;
  readonly peakMemoryBytes: number;
}

interface Options {
  readonly only: readonly string[];
  readonly model?: string;
  readonly runs?: readonly number[];
  readonly seconds: number;
  readonly json?: string;
}

function parse(args: readonly string[]): Options | undefined {
  const values = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) {
    if (args[i] === '--help') return undefined;
    if (!['--only', '--runs', '--model', '--seconds', '--json'].includes(args[i]) || args[i + 1] === undefined) {
      throw new Error(`unknown option or missing value: ${args[i]}\n\n${USAGE}`);
    }
    values.set(args[i], args[i + 1]);
  }
  const positive = (text: string, option: string): number => {
    const value = Number(text);
    if (!(value > 0)) throw new Error(`${option}: expected a number above 0, found ${text}`);
    return value;
  };
  const only = values.get('--only')?.split(',') ?? Object.keys(BENCHMARKS);
  const unknown = only.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined) {
    throw new Error(`--only: ${unknown}, expected some of ${Object.keys(BENCHMARKS).join(', ')}`);
  }
  return {
    only, model: values.get('--model'), json: values.get('--json'), seconds: positive(values.get('--seconds') ?? '20', '--seconds'),
    runs: values.get('--runs')?.split(',').map((text) => positive(text, '--runs')),
  };
}

/** Start the processes, let them begin together, and gather what they measured. */
async function measure(request: Measurement, processes: number): Promise<Measured[]> {
  const crew = Array.from({ length: processes }, () => fork(join(__dirname, 'measure.ts'), {
    env: { ...process.env, ...workerEnvironment(request.threads) }, execArgv: ['--import', 'tsx'],
  }));
  const results = crew.map((child) => nextMessage<Measured>(child, (message) => message !== 'ready'));
  const ready = crew.map((child) => nextMessage(child, (message) => message === 'ready'));
  for (const child of crew) child.send(request);
  await Promise.all(ready);
  for (const child of crew) child.send('go');
  return Promise.all(results);
}

function nextMessage<T>(child: ChildProcess, wanted: (message: unknown) => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (wanted(message)) resolve(message as T);
    });
    child.on('exit', (code, signal) => reject(new Error(`a measuring process ended with ${signal ?? `exit code ${code}`}`)));
  });
}

async function rowOf(name: string, benchmark: Benchmark, runsPerStep: number, seconds: number): Promise<Row> {
  const processes = benchmark.single ? 1 : availableParallelism();
  const threads = Math.max(1, Math.floor(availableParallelism() / processes));
  const measured = await measure({ ...benchmark.request, runsPerStep, seconds, threads }, processes);
  const sum = (value: (one: Measured) => number) => measured.reduce((total, one) => total + value(one), 0);
  return {
    benchmark: name, model: benchmark.request.model, runsPerStep, processes, unit: benchmark.unit,
    examplesPerSecond: sum((one) => one.examples / one.seconds),
    gflops: sum((one) => one.operations / one.seconds / 1e9),
    peakGflops: sum((one) => one.peakGflops),
    productGflops: sum((one) => one.productGflops),
    peakMemoryBytes: sum((one) => one.peakMemoryBytes),
  };
}

/** The complete analysis by ours, by NumPy and by a loop. */
function compareAnalysis(): void {
  const python = process.env.PYTHON ?? 'python3';
  if (spawnSync(python, ['-c', 'import numpy, scipy'], { stdio: 'ignore' }).status !== 0) {
    console.log(`\nanalysis left out: ${python} has no numpy and scipy; mend: pip install -r tests/reference/requirements.txt, or set PYTHON`);
    return;
  }
  console.log('\nthe complete analysis (bench/analysis.py --help says what is compared)\n');
  const { status } = spawnSync(python, [join(__dirname, 'analysis.py')], { cwd: projectFolder, stdio: 'inherit' });
  if (status !== 0) throw new Error('bench/analysis.py failed: see above');
}

function line(row: Row): string {
  const rate = row.examplesPerSecond < 10 ? row.examplesPerSecond.toFixed(2) : row.examplesPerSecond.toFixed(0);
  const share = (gflops: number) => (gflops > 0 ? `${((100 * gflops) / row.peakGflops).toFixed(0)} %` : '');
  return `| ${[
    row.benchmark, row.model, row.runsPerStep, row.processes, `${rate} ${row.unit}/s`, row.gflops > 0 ? row.gflops.toFixed(1) : '',
    row.peakGflops > 0 ? row.peakGflops.toFixed(0) : '', share(row.gflops), share(row.productGflops),
    `${(row.peakMemoryBytes / 1e9).toFixed(2)} GB`,
  ].join(' | ')} |`;
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2));
  if (!options) return console.log(USAGE);
  const [{ model }] = cpus();
  console.log(`${model}, ${availableParallelism()} cores, ${(totalmem() / 1e9).toFixed(0)} GB, Node ${process.version}\n`);
  if (options.only.some((name) => BENCHMARKS[name].length > 0)) {
    console.log('| benchmark | model | runs a step | processes | rate | Gflop/s | peak Gflop/s | share | products alone | peak memory |');
    console.log('|---|---|---|---|---|---|---|---|---|---|');
  }
  const rows: Row[] = [];
  for (const name of options.only) {
    for (const benchmark of BENCHMARKS[name]) {
      if (options.model && options.model !== benchmark.request.model) continue;
      if (benchmark.request.folder && !existsSync(benchmark.request.folder)) {
        console.log(`${name} left out: ${benchmark.request.folder} is missing (see --help)`);
        continue;
      }
      for (const runs of options.runs ?? benchmark.runs) {
        const row = await rowOf(name, benchmark, runs, options.seconds);
        rows.push(row);
        console.log(line(row));
      }
    }
  }
  if (options.only.includes('analysis')) compareAnalysis();
  if (options.only.includes('drift')) await printDrift((options.model ?? 'embedded') as Measurement['model']);
  if (options.only.includes('profile')) {
    await printProfile((options.model ?? 'embedded') as Measurement['model'], options.runs?.[0] ?? 30, options.seconds);
  }
  if (options.json) writeJsonAtomic(options.json, rows);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
