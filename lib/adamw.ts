/** AdamW on plain arrays: a prompt is a few thousand numbers, and its state is easy to save. */

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** What a step changes, arrays of one length. */
export interface Moments {
  readonly prompts: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

export interface Schedule {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** from 1 */
  readonly step: number;
}

/**
 * One step of AdamW in place, as torch.optim.AdamW does it; `step` counts from 1. With weightDecay 0 it is
 * Adam.
 */
export function adamW(
  { prompts, firstMoment, secondMoment }: Moments, gradient: Float32Array,
  { learningRate, weightDecay, step }: Schedule,
): void {
  const stepSize = learningRate / (1 - BETA1 ** step);
  const correction = Math.sqrt(1 - BETA2 ** step);
  const decay = 1 - learningRate * weightDecay;
  for (let i = 0; i < prompts.length; i++) {
    firstMoment[i] = BETA1 * firstMoment[i] + (1 - BETA1) * gradient[i];
    secondMoment[i] = BETA2 * secondMoment[i] + (1 - BETA2) * gradient[i] * gradient[i];
    prompts[i] = decay * prompts[i] - (stepSize * firstMoment[i]) / (Math.sqrt(secondMoment[i]) / correction + EPSILON);
  }
}

/** A step of adamW where everything stays finite; else nothing changes, and why is returned. */
export function tryAdamW(own: Moments, loss: number, gradient: Float32Array, schedule: Schedule): string | undefined {
  if (!Number.isFinite(loss)) return `loss is ${loss}`;
  if (!gradient.every(Number.isFinite)) return 'gradient is not finite';
  const next = {
    prompts: own.prompts.slice(), firstMoment: own.firstMoment.slice(), secondMoment: own.secondMoment.slice(),
  };
  adamW(next, gradient, schedule);
  for (const data of Object.values(next)) if (!data.every(Number.isFinite)) return 'prompt or moments are not finite';
  own.prompts.set(next.prompts);
  own.firstMoment.set(next.firstMoment);
  own.secondMoment.set(next.secondMoment);
  return undefined;
}
