/** How many runs fit one step: an estimate of what a step keeps, against the memory that is free. */
import { execFileSync } from 'node:child_process';
import { freemem } from 'node:os';
import { LABELS_AT_ONCE } from './output';
import type { Gpt2Config } from './gpt2';
import type { Example } from './tasks';

const FLOAT = 4;
/** Share of the free memory that is counted on: the rest is for the system, and for what the estimate misses. */
const USABLE = 0.6;

/** Bytes of a model's weights in float32. */
export function weightBytes({ layers, dModel, vocabularySize, positions }: Gpt2Config): number {
  return FLOAT * (12 * layers * dModel ** 2 + (vocabularySize + positions) * dModel);
}

/** Bytes of a step however many runs it has: logits of the labels that are in memory at once, and their softmax. */
export function logitBytes({ vocabularySize }: Gpt2Config): number {
  return FLOAT * 3 * LABELS_AT_ONCE * vocabularySize;
}

/**
 * Bytes that one run adds to a step over a batch of its longest examples: what the forward pass keeps of each
 * layer for the gradient, and the widest layer in progress.
 */
export function runBytes(
  { layers, dModel, heads }: Gpt2Config, examples: readonly Example[],
  { promptTokens, batchSize }: { readonly promptTokens: number; readonly batchSize: number },
): number {
  const longest = (lengths: number[]) => lengths.reduce((most, length) => Math.max(most, length), 0);
  const text = longest(examples.map(({ textTokens }) => textTokens.length));
  const labels = longest(examples.map(({ labelTokens }) => labelTokens.length));
  const rows = promptTokens + batchSize * (text + labels);
  // kept by forward.ts in each layer: two norms, queries, keys and values, gelu's derivative, probabilities
  const kept = layers * (9 * dModel + heads * (promptTokens + text + labels));
  const inProgress = 30 * dModel;
  return FLOAT * rows * (kept + inProgress);
}

/** Runs of `bytes` each that fit into `free` bytes of memory beside the `fixed` ones; at least 1. */
export function runsThatFit(bytes: number, fixed: number, free: number): number {
  return Math.max(1, Math.floor((USABLE * free - fixed) / bytes));
}

/** Bytes of memory that are free where the model computes: of the GPU, or of this machine (its container). */
export function freeMemory(kind: string): number {
  if (kind === 'GPU') return freeGpuMemory();
  return Math.min(freemem(), process.availableMemory?.() ?? Infinity);
}

/** What NVIDIA's tool tells of the first GPU; 8 GB where it tells nothing. */
function freeGpuMemory(): number {
  try {
    const text = execFileSync('nvidia-smi', ['--query-gpu=memory.free', '--format=csv,noheader,nounits'], {
      encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000,
    });
    const mebibytes = Number(text.split('\n')[0]);
    if (mebibytes > 0) return mebibytes * 2 ** 20;
  } catch {
    // no such tool
  }
  return 8e9;
}
