/** What a group of runs that is still training continues from, in one file. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkDigest, digestOf } from './digests';
import { orMend } from './files';
import { checkJson, parseJson } from './json';
import { epochsSchema } from './metrics';
import type { Group } from './run-names';
import { openSafetensors, writeSafetensors } from './safetensors';
import type { EpochMetrics, TuningState } from './tuning';

/** What a group continues from. */
export interface Checkpoint {
  readonly state: TuningState;
  /** prompts after each epoch so far: [run, promptTokens, dModel] each */
  readonly history: readonly Float32Array[];
  readonly metrics: readonly EpochMetrics[];
}

function groupFile(folder: string, group: Group): string {
  return join(folder, 'checkpoints', `${digestOf(group).slice(0, 16)}.safetensors`);
}

/** One file for state, history and metrics, so that they always belong together. */
export function saveCheckpoint(folder: string, group: Group, { state, history, metrics }: Checkpoint): void {
  const names = checkpointNames(history.length);
  const arrays = [...history, state.firstMoment, state.secondMoment];
  const text = JSON.stringify(metrics);
  const tensors = Object.fromEntries(names.map((name, i) => [name, { shape: [arrays[i].length], data: arrays[i] }]));
  const sha256 = digestOf([group, text], arrays);
  writeSafetensors(groupFile(folder, group), tensors, { metrics: text, sha256 });
}

function checkpointNames(epochs: number): string[] {
  return [...Array.from({ length: epochs }, (_, i) => `prompts.${i + 1}`), 'firstMoment', 'secondMoment'];
}

/** The last checkpoint of a group, if there is one. Throws, saying what to do, where the file is damaged. */
export function loadCheckpoint(folder: string, group: Group): Checkpoint | undefined {
  const file = groupFile(folder, group);
  if (!existsSync(file)) return undefined;
  return orMend(`delete ${file}; the runs in it then start from their first epoch`, () => readCheckpoint(file, group));
}

function readCheckpoint(file: string, group: Group): Checkpoint {
  const tensors = openSafetensors(file);
  try {
    const where = `${file}: metrics`;
    const text = tensors.metadata.get('metrics') ?? '';
    const metrics: EpochMetrics[] = checkJson(epochsSchema(group.length), parseJson(Buffer.from(text), where), where);
    const names = checkpointNames(metrics.length);
    if ([...names].sort().join() !== [...tensors.names].sort().join()) {
      throw new Error(`${file}: expected the tensors of ${metrics.length} epochs, found ${tensors.names.join(', ')}`);
    }
    const arrays = names.map((name) => tensors.read(name).data);
    if (arrays.some(({ length }) => length !== arrays[0].length || length % group.length !== 0)) {
      throw new Error(`${file}: expected tensors of one length, found ${arrays.map(({ length }) => length).join(', ')}`);
    }
    checkDigest(file, tensors.metadata.get('sha256'), digestOf([group, text], arrays));
    const history = arrays.slice(0, metrics.length);
    const [prompts, firstMoment, secondMoment] = arrays.slice(metrics.length - 1);
    const state = { epochsDone: metrics.length, prompts, firstMoment, secondMoment, stops: metrics.at(-1)!.stops };
    return { state, history, metrics };
  } finally {
    tensors.close();
  }
}

/** Remove the checkpoint of a group that is done, where there is one. */
export function removeCheckpoint(folder: string, group: Group): void {
  rmSync(groupFile(folder, group), { force: true });
}
