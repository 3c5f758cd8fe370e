/** experiment.json of a run folder: the configuration and where the results come from. Neither ever changes. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { BACKEND_NAMES, currentDevice, type Device } from './backend';
import { checkExperiment, type Experiment } from './experiment';
import { readJson, sha256File, writeJsonAtomic } from './files';
import { checkJson } from './json';
import { groupsOf, runPath } from './run-names';

export interface Provenance {
  readonly device: Device;
  /** runs that train in one step: the configuration's number, or what was chosen for its 'auto' */
  readonly runsPerStep: number;
  readonly node: string;
  /** of the model's repository, where it comes from one */
  readonly commit?: string;
  /** SHA-256 of the model's weights and of each task list */
  readonly hashes: Readonly<Record<string, string>>;
}

/** experiment.json; the configuration has its own check. */
const RECORD = z.strictObject({
  experiment: z.unknown(),
  device: z.looseObject({
    backend: z.enum(BACKEND_NAMES), kind: z.string().min(1), threads: z.int().min(1), version: z.string(),
  }),
  runsPerStep: z.int().min(1).optional(),
  node: z.string(),
  commit: z.string().optional(),
  hashes: z.record(z.string(), z.string()),
});

/** The content of an experiment.json. Throws where it is none. */
export function readRecord(file: string): { experiment: Experiment } & Provenance {
  const record = checkJson(RECORD, readJson(file), file);
  const experiment = checkExperiment(record.experiment, file);
  // Runs older than the field have a number in their configuration.
  const runsPerStep = record.runsPerStep ?? (experiment.runsPerStep === 'auto' ? 1 : experiment.runsPerStep);
  return { ...record, experiment, runsPerStep };
}

/**
 * Write experiment.json into a new folder, or check that an existing one was made with the same configuration,
 * device and files. Throws with the field that differs, and where results have lost their experiment.json. Returns
 * the provenance that stands in the folder.
 */
export function openRunFolder(folder: string, experiment: Experiment, provenance: Provenance): Provenance {
  const file = join(folder, 'experiment.json');
  if (!existsSync(file)) {
    if (holdsResults(folder, experiment)) {
      throw new Error(`${file}: missing, though there are results: nobody can know of which configuration; ` +
        `mend: choose another run name, or delete ${folder}`);
    }
    writeJsonAtomic(file, { experiment, ...provenance });
    return provenance;
  }
  const { experiment: made, ...existing } = readRecord(file);
  const found = comparedFields(made, existing);
  // 'auto' goes on with what the run began with.
  const { runsPerStep } = experiment.runsPerStep === 'auto' ? existing : provenance;
  const wanted = comparedFields(experiment, { ...provenance, runsPerStep });
  for (const field of new Set([...wanted.keys(), ...found.keys()])) {
    if (wanted.get(field) !== found.get(field)) {
      throw new Error(
        `${file}: ${field}: this run was made with ${found.get(field) ?? 'nothing'}, ` +
        `now asked for ${wanted.get(field) ?? 'nothing'}; mend: choose another run name, or delete ${folder}`);
    }
  }
  return existing;
}

/** Is there anything that a training with this configuration would take for its own? */
function holdsResults(folder: string, experiment: Experiment): boolean {
  const checkpoints = join(folder, 'checkpoints');
  return (existsSync(checkpoints) && readdirSync(checkpoints).length > 0) ||
    groupsOf(experiment, 1).some(([run]) => existsSync(runPath(folder, run)));
}

/** What must be the same for results to lie in one folder, as JSON by name. */
function comparedFields(
  experiment: Experiment, { device, hashes, runsPerStep }: Provenance,
): Map<string, string> {
  const files = Object.entries(hashes).map(([name, hash]) => [`SHA-256 of ${name}`, hash]);
  const settings = Object.entries({
    ...experiment, runsPerStep, backend: device.backend, 'kind of device': device.kind,
  });
  return new Map([...settings, ...files].map(([name, value]) => [name, JSON.stringify(value)]));
}

/** Where results come from: the device that computes with so many threads, and hashes of everything read. */
export function provenanceOf(
  files: Readonly<Record<string, string>>, threads: number, runsPerStep: number,
): Provenance {
  const hashes = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, sha256File(file)]));
  return { device: { ...currentDevice(), threads }, runsPerStep, node: process.version, hashes };
}
