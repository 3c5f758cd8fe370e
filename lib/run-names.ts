/** Which runs an experiment has, which of them train together, and where each lies on the disk. */
import { join } from 'node:path';
import { digestOf } from './digests';
import type { Experiment } from './experiment';
import { projectFolder } from './files';

/** What tells a run of an experiment from the others. */
export interface RunName {
  readonly task: string;
  readonly word: string;
  readonly seed: number;
}

/** Runs that train in one step. */
export type Group = readonly RunName[];

const RUNS_FOLDER = join(projectFolder, 'data', 'runs');

/** The folder of a run name. Throws where the name is no plain folder name. */
export function runFolder(name: string): string {
  if (!/^[\w][\w.-]*$/.test(name)) throw new Error(`run name: ${name}, expected letters, digits, dots, _ and -`);
  return join(RUNS_FOLDER, name);
}

/** The folder of a run inside the run folder. */
export function runPath(folder: string, { task, word, seed }: RunName): string {
  const encoded = encodeURIComponent(word);
  // File systems take names of 255 bytes at most.
  const name = encoded.length <= 200 ? encoded : `${encoded.slice(0, 150)}~${digestOf(word).slice(0, 12)}`;
  return join(folder, task, `${name}-${seed}`);
}

/**
 * The groups of an experiment. Tasks change fastest, so that each group has some of every task and all groups take
 * about as long.
 */
export function groupsOf({ tasks, seeds, words }: Experiment, runsPerStep: number): Group[] {
  const runs = seeds.flatMap((seed) => words.flatMap((word) => tasks.map((task) => ({ task, word, seed }))));
  return Array.from({ length: Math.ceil(runs.length / runsPerStep) }, (_, i) => (
    runs.slice(i * runsPerStep, (i + 1) * runsPerStep)));
}

/** A group in a few words, for people. */
export function describeGroup(group: Group): string {
  const all = (field: keyof RunName) => [...new Set(group.map((run) => run[field]))];
  const shown = (values: unknown[], what: string) => (values.length > 2 ? `${values.length} ${what}` : values.join(' '));
  return `${shown(all('task'), 'tasks')} × ${shown(all('word'), 'words')}, seed ${all('seed').join(' ')}`;
}
