/**
 * The batches of every measurement: those of the embedded task lists in their training order, eight examples each,
 * all six tasks in turn. `node --import tsx bench/batches.ts COUNT` prints the first ones as JSON for bench/peft.py.
 */
import { join } from 'node:path';
import { projectFolder } from '../lib/files';
import { epochBatches, loadTask, TASK_NAMES, type Example } from '../lib/tasks';

export const BATCH_SIZE = 8;
export const PROMPT_TOKENS = 4;

export const tasks = TASK_NAMES.map((name) => (
  loadTask(name, { folder: join(projectFolder, 'data', 'tasks'), template: 'trailing-space' })));

const order = tasks.map(({ train, name }) => (
  epochBatches(train.length, BATCH_SIZE, 0, name, 1).filter(({ length }) => length === BATCH_SIZE)));

/** The batch of a run at a step: run and step together say the task, so that a single run meets all six too. */
export function batchOf(run: number, step: number): Example[] {
  const task = (run + step) % tasks.length;
  const batches = order[task];
  return batches[Math.floor(step / tasks.length) % batches.length].map((index) => tasks[task].train[index]);
}

if (require.main === module) {
  const steps = Array.from({ length: Number(process.argv[2] ?? 12) }, (_, step) => batchOf(0, step));
  const test = tasks.map((task) => task.test.slice(0, 4 * BATCH_SIZE));
  const tokens = ({ textTokens, labelTokens, output }: Example) => ({ textTokens, labelTokens, output });
  console.log(JSON.stringify({
    promptTokens: PROMPT_TOKENS, train: steps.map((batch) => batch.map(tokens)), test: test.map((list) => list.map(tokens)),
  }));
}
