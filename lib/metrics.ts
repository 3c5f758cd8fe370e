/** What is measured of a run, epoch by epoch, and its form in files. */
import { z } from 'zod';
import type { EpochMetrics } from './tuning';

/** One epoch of one run. What is no finite number is NaN here and null in the file. */
export interface RunMetrics {
  /** 1 … epochs */
  readonly epoch: number;
  /** mean label loss of the epoch's batches and of the test set, in nats */
  readonly trainLoss: number;
  readonly testLoss: number;
  /** share, 0–1 */
  readonly testAccuracy: number;
  /** the step at which the run stopped for good, 1 … all steps, and why; its prompt is that of the step before */
  readonly stoppedAt?: number;
  readonly stopReason?: string;
  /** in the last epoch: the prompt is still what it was before training */
  readonly unchanged?: true;
}

const number = z.number().nullable().transform((value) => value ?? NaN);
const share = z.number().min(0).max(1).nullable().transform((value) => value ?? NaN);
const ordered = <T extends { epoch: number }>(epochs: T[]) => epochs.every(({ epoch }, i) => epoch === i + 1);
const IN_ORDER = 'expected the epochs 1, 2, … in order';

/** metrics.json of a run. */
export const METRICS = z.array(z.strictObject({
  epoch: z.int().min(1), trainLoss: number, testLoss: number, testAccuracy: share,
  stoppedAt: z.int().min(1).optional(), stopReason: z.string().optional(), unchanged: z.literal(true).optional(),
})).min(1).refine(ordered, IN_ORDER);

/** The metrics of a checkpoint of so many runs. */
export const epochsSchema = (runs: number) => z.array(z.strictObject({
  epoch: z.int().min(1),
  trainLoss: z.array(number).length(runs),
  test: z.array(z.strictObject({ loss: number, accuracy: share })).length(runs),
  stops: z.array(z.strictObject({
    run: z.int().min(0).max(runs - 1), step: z.int().min(1), reason: z.string(),
  })).max(runs),
})).min(1).refine(ordered, IN_ORDER);

/** The metrics of one run of a group. `unchanged`: its prompt is what it was before training. */
export function runMetrics(metrics: readonly EpochMetrics[], run: number, unchanged: boolean): RunMetrics[] {
  return metrics.map(({ epoch, trainLoss, test, stops }, i): RunMetrics => {
    const stop = stops.find((candidate) => candidate.run === run);
    return {
      epoch, trainLoss: trainLoss[run], testLoss: test[run].loss, testAccuracy: test[run].accuracy,
      ...(stop && { stoppedAt: stop.step, stopReason: stop.reason }),
      ...(unchanged && i === metrics.length - 1 && { unchanged }),
    };
  });
}
