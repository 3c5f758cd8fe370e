/** Bar 4: perplexity of ordinary text that was held out, against a 3-gram model of the same training tokens. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { disposeGpt2, findModel, loadGpt2, progressBar, startBackend, tf, type Gpt2 } from '../../lib';
import { labelLosses } from '../../lib/forward';
import { disposeLayout, layOut } from '../../lib/layout';
import { buildFolder } from '../pretrain/paths';
import { trainTrigram } from './kneser-ney';
import { mean, type Part } from './card';

const ROW = 256; // tokens
const ROWS = 400; // evenly spaced over the Brown corpus

/** Undefined where the corpus has not been built (scripts/pretrain). */
export async function measureText(model: string): Promise<Part | undefined> {
  if (!['natural.bin', 'synthetic.bin', 'brown.bin'].every((name) => existsSync(join(buildFolder, name)))) {
    return undefined;
  }
  await startBackend();
  const rows = heldOutRows();
  const gpt2 = loadGpt2(findModel(model));
  const bar = progressBar('perplexity', rows.length);
  const own = mean(rows.map((row, i) => {
    const loss = rowLoss(gpt2, row);
    bar.update(i + 1);
    return loss;
  }));
  bar.finish();
  disposeGpt2(gpt2);
  const natural = readTokens('natural.bin');
  const synthetic = readTokens('synthetic.bin');
  const trigram = (name: string, tokens: Uint16Array) => {
    console.log(`3-gram model of ${name} …`);
    return { name, tokens: tokens.length, perplexity: Math.exp(trigramLoss(tokens, rows)) };
  };
  const trigrams = [
    trigram('the ordinary text', natural), trigram('all training text', concat(natural, synthetic)),
  ];
  const best = trigrams.reduce((a, b) => (b.perplexity < a.perplexity ? b : a));
  const perplexity = Math.exp(own);
  return {
    bars: [{
      name: `perplexity a token, Brown corpus (${rows.length} × ${ROW} tokens, held out)`,
      asked: `< ${best.perplexity.toFixed(0)} (3-gram, Kneser-Ney, of ${best.name})`,
      found: perplexity.toFixed(0), passes: perplexity < best.perplexity,
    }],
    details: { perplexity, trigrams },
  };
}

function heldOutRows(): Uint16Array[] {
  const tokens = readTokens('brown.bin');
  const count = Math.floor(tokens.length / ROW);
  return Array.from({ length: ROWS }, (_, i) => {
    const row = Math.floor((i * (count - 1)) / (ROWS - 1));
    return tokens.subarray(row * ROW, (row + 1) * ROW);
  });
}

/** Mean loss of all tokens but the first two, which both kinds of model get as context. */
function rowLoss(model: Gpt2, row: Uint16Array): number {
  const first = tf.tidy(() => tf.gather(model.tokenEmbedding, tf.tensor1d([row[0]], 'int32')).expandDims(0) as tf.Tensor3D);
  const layout = layOut([[{ textTokens: [row[1]], labelTokens: [...row.subarray(2)] }]], 1, 0);
  const { losses } = labelLosses(model, first, layout);
  disposeLayout(layout);
  first.dispose();
  return mean([...losses]);
}

function trigramLoss(tokens: Uint16Array, rows: readonly Uint16Array[]): number {
  const logProbability = trainTrigram(tokens);
  return mean(rows.flatMap((row) =>
    Array.from({ length: ROW - 2 }, (_, i) => -logProbability(row[i], row[i + 1], row[i + 2]))));
}

function readTokens(name: string): Uint16Array {
  const bytes = readFileSync(join(buildFolder, name));
  return new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function concat(...parts: readonly Uint16Array[]): Uint16Array {
  const all = new Uint16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
