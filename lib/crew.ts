/**
 * The worker processes of a training: they get groups of runs one after another, and one that dies is replaced by
 * another that goes on with what it left.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { projectFolder } from './files';
import { describeGroup, type Group } from './run-names';
import type { FromWorker, ToWorker } from './worker';

/** Deaths of worker processes without a new epoch in between that end the training. */
const MOST_DEATHS = 3;

/** Hears what a worker tells of the group it is on, or that it died of the signal or exit code `how`. */
export type Report = (message: FromWorker | { readonly kind: 'died'; readonly how: string }, group: Group | undefined) => void;

interface Crew {
  readonly start: ToWorker;
  readonly workers: Set<ChildProcess>;
  /** groups that no worker has begun */
  readonly queue: Group[];
  readonly report: Report;
  /** why all stop */
  failure?: Error;
}

/**
 * Hand the groups to `count` workers, in their order, until all are done. The first failure, Ctrl-C and `signal` stop
 * all workers after the step in progress; then it throws.
 */
export async function runWorkers(
  start: ToWorker, count: number, groups: readonly Group[], report: Report, signal?: AbortSignal,
): Promise<void> {
  const crew: Crew = { start, workers: new Set(), queue: [...groups], report };
  const stop = (error: Error) => {
    crew.failure ??= error;
    for (const worker of crew.workers) if (worker.connected) send(worker, { kind: 'stop' });
  };
  const abort = () => stop(new Error('training stopped; run it again to go on from the last finished epochs'));
  // At once, since tslab ends an interrupted cell with a word of its own, before anything is thrown here.
  const interrupt = () => {
    process.stderr.write('stopping after the step in progress; finished epochs are saved: run it again to go on\n');
    abort();
  };
  signal?.addEventListener('abort', abort);
  process.on('SIGINT', interrupt);
  try {
    await Promise.all(Array.from({ length: count }, () => fillPlace(crew).catch(stop)));
  } finally {
    signal?.removeEventListener('abort', abort);
    process.off('SIGINT', interrupt);
  }
  if (crew.failure) throw crew.failure;
}

/** One place in the crew: a worker and, when it dies, another that goes on with what it left. */
async function fillPlace(crew: Crew): Promise<void> {
  let group: Group | undefined;
  for (let deaths = 0; !crew.failure;) {
    const worker = startWorker(crew.start);
    crew.workers.add(worker);
    let left = group;
    const next = () => {
      group = crew.failure ? undefined : left ?? crew.queue.shift();
      left = undefined;
      return group;
    };
    const how = await employ(worker, next, (message) => {
      if (message.kind === 'epoch') deaths = 0;
      crew.report(message, group);
    });
    crew.workers.delete(worker);
    if (how === undefined || crew.failure) return;
    deaths += 1;
    if (deaths === MOST_DEATHS) throw deathError(how, group);
    crew.report({ kind: 'died', how }, group);
  }
}

function deathError(how: string, group: Group | undefined): Error {
  const where = group ? describeGroup(group) : 'before its first runs';
  return new Error(
    `training worker (${where}): died ${MOST_DEATHS} times without a new epoch, last by ${how}; finished epochs are ` +
    'saved; mend: SIGKILL mostly means too little memory: free some and run it again, or choose another run name ' +
    'and fewer runs per step');
}

/**
 * Give a worker the next group whenever it is ready. Settles when its process has ended: with undefined where all
 * is done, with the signal or exit code where it died; rejects with what it failed of.
 */
function employ(
  worker: ChildProcess, next: () => Group | undefined, report: (message: FromWorker) => void,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let problem: Error | undefined;
    let dismissed = false;
    worker.on('message', (message: FromWorker) => {
      report(message);
      if (message.kind === 'failed') {
        problem = new Error(`training worker failed: ${message.message}`, { cause: message.stack });
      }
      if (message.kind !== 'ready') return;
      const group = next();
      if (group) send(worker, { kind: 'group', group });
      else {
        dismissed = true;
        worker.disconnect();
      }
    });
    worker.on('error', (error) => {
      problem ??= new Error(`a training worker failed: ${error.message}`);
      if (worker.pid === undefined) reject(problem);
    });
    worker.on('exit', (code, signal) => {
      if (problem) reject(problem);
      else resolve(dismissed ? undefined : signal ?? `exit code ${code}`);
    });
  });
}

/**
 * The environment of a worker process. For glibc's allocator: reuse freed memory instead of handing it back. Each step
 * makes and frees the same large tensors; fetching their pages anew from the system took up to half of the time.
 */
export function workerEnvironment(threads: number): NodeJS.ProcessEnv {
  return {
    MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: String(2 ** 40), MALLOC_TOP_PAD_: String(2 ** 28),
    TF_NUM_INTRAOP_THREADS: String(threads),
  };
}

function startWorker(start: ToWorker): ChildProcess {
  const threads = start.kind === 'start' ? start.device.threads : 1;
  const worker = fork(join(projectFolder, 'lib', 'dist', 'worker.js'), {
    env: { ...process.env, ...workerEnvironment(threads) }, execArgv: [],
  });
  send(worker, start);
  return worker;
}

/** A worker that is gone tells so by its exit; the error of sending to it adds nothing. */
function send(worker: ChildProcess, message: ToWorker): void {
  worker.send(message, () => undefined);
}
