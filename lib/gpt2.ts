/**
 * GPT-2's configuration and frozen weights, from a Hugging Face folder (config.json and safetensors).
 *
 * Scale and shift of the layer norms inside the blocks are folded into the matrices behind them, and the
 * queries' 1/√headSize into theirs: the same function with two passes over memory less in each block.
 */
import { join } from 'node:path';
import { tf } from './backend';
import { readConfig, type Gpt2Config } from './gpt2-config';
import type { Linear } from './ops';
import { openCheckpoint, type SafetensorsFile } from './safetensors';

export { readConfig, type Gpt2Config };

export interface Block {
  /** [dModel, 3·dModel]: query, key, value */
  readonly qkv: Linear;
  readonly attentionOutput: Linear;
  /** [dModel, 4·dModel] and back */
  readonly up: Linear;
  readonly down: Linear;
}

export interface Gpt2 {
  readonly config: Gpt2Config;
  /** [vocabulary, dModel], also the output matrix */
  readonly tokenEmbedding: tf.Tensor2D;
  /** [dModel, vocabulary], a transposed copy where it is small: the product with it is twice as fast */
  readonly unembedding: tf.Tensor2D | null;
  /** [positions, dModel] */
  readonly positionEmbedding: tf.Tensor2D;
  readonly blocks: readonly Block[];
  /** [dModel] each, of the last layer norm */
  readonly finalScale: tf.Tensor1D;
  readonly finalShift: tf.Tensor1D;
}

/** Largest token embedding, in numbers, of which a transposed copy is kept. */
const LARGEST_TRANSPOSED = 64e6;

export function transposedCopy(tokenEmbedding: tf.Tensor2D): tf.Tensor2D | null {
  return tokenEmbedding.size <= LARGEST_TRANSPOSED ? tf.transpose(tokenEmbedding) : null;
}

/**
 * Load a GPT-2 checkpoint folder. Throws where config.json describes another architecture, or a tensor is
 * missing, unknown or of a wrong shape; the error names file, field, expected and found.
 * The caller disposes with disposeGpt2.
 */
export function loadGpt2(folder: string): Gpt2 {
  const config = readConfig(join(folder, 'config.json'));
  const checkpoint = openCheckpoint(folder);
  try {
    const read = checkedReader(checkpoint, config, folder);
    const tokenEmbedding = read('wte.weight') as tf.Tensor2D;
    return {
      config,
      tokenEmbedding,
      unembedding: transposedCopy(tokenEmbedding),
      positionEmbedding: read('wpe.weight') as tf.Tensor2D,
      blocks: Array.from({ length: config.layers }, (_, layer) => readBlock(read, layer, config)),
      finalScale: read('ln_f.weight') as tf.Tensor1D,
      finalShift: read('ln_f.bias') as tf.Tensor1D,
    };
  } finally {
    checkpoint.close();
  }
}

export function disposeGpt2(model: Gpt2): void {
  tf.dispose([
    model.tokenEmbedding, model.positionEmbedding, model.finalScale, model.finalShift,
    ...(model.unembedding ? [model.unembedding] : []),
    ...model.blocks.flatMap((block) => Object.values(block).flatMap(({ weight, bias }) => [weight, bias])),
  ]);
}

type Reader = (name: string) => tf.Tensor;

/** Checks names and shapes of the whole checkpoint first; then reads tensor by tensor. */
function checkedReader(checkpoint: SafetensorsFile, config: Gpt2Config, folder: string): Reader {
  const shapes = expectedShapes(config);
  const fileNames = new Map<string, string>();
  for (const name of checkpoint.names) {
    const bare = name.replace(/^transformer\./, '');
    // The causal mask is stored by older versions; the output matrix is the token embedding again.
    if (/^h\.\d+\.attn\.(masked_)?bias$/.test(bare) || bare === 'lm_head.weight') continue;
    if (!shapes.has(bare)) throw new Error(`${folder}: tensor ${name}: not part of this GPT-2`);
    if (fileNames.has(bare)) throw new Error(`${folder}: tensor ${bare}: expected once, found as ${fileNames.get(bare)} too`);
    fileNames.set(bare, name);
  }
  for (const [bare, shape] of shapes) {
    const name = fileNames.get(bare);
    if (name === undefined) throw new Error(`${folder}: tensor ${bare}: expected, but missing`);
    const found = checkpoint.shapeOf(name);
    if (found.join() !== shape.join()) {
      throw new Error(`${folder}: tensor ${name}: expected shape [${shape.join(', ')}], found [${found.join(', ')}]`);
    }
  }
  return (bare) => {
    const { data, shape } = checkpoint.read(fileNames.get(bare)!);
    return tf.tensor(data, shape as number[], 'float32');
  };
}

function expectedShapes({ vocabularySize, positions, dModel: d, layers }: Gpt2Config): Map<string, number[]> {
  const shapes = new Map<string, number[]>([
    ['wte.weight', [vocabularySize, d]], ['wpe.weight', [positions, d]],
    ['ln_f.weight', [d]], ['ln_f.bias', [d]],
  ]);
  for (let layer = 0; layer < layers; layer++) {
    for (const norm of ['ln_1', 'ln_2']) {
      shapes.set(`h.${layer}.${norm}.weight`, [d]).set(`h.${layer}.${norm}.bias`, [d]);
    }
    for (const [name, input, output] of [
      ['attn.c_attn', d, 3 * d], ['attn.c_proj', d, d], ['mlp.c_fc', d, 4 * d], ['mlp.c_proj', 4 * d, d],
    ] as const) {
      shapes.set(`h.${layer}.${name}.weight`, [input, output]).set(`h.${layer}.${name}.bias`, [output]);
    }
  }
  return shapes;
}

function readBlock(read: Reader, layer: number, { dModel, heads }: Gpt2Config): Block {
  const map = (name: string) => ({
    weight: read(`h.${layer}.${name}.weight`) as tf.Tensor2D,
    bias: read(`h.${layer}.${name}.bias`) as tf.Tensor1D,
  });
  return {
    qkv: scaleQueries(foldNorm(map('ln_1'), map('attn.c_attn')), dModel, heads),
    attentionOutput: map('attn.c_proj'),
    up: foldNorm(map('ln_2'), map('mlp.c_fc')),
    down: map('mlp.c_proj'),
  };
}

/** (scale·x + shift)·W + b = x·(scale W) + (shift·W + b). Disposes its arguments. */
function foldNorm(norm: { weight: tf.Tensor; bias: tf.Tensor }, map: Linear): Linear {
  const folded = tf.tidy(() => ({
    weight: tf.mul(map.weight, tf.expandDims(norm.weight, 1)) as tf.Tensor2D,
    bias: tf.add(map.bias, tf.matMul(tf.expandDims(norm.bias, 0), map.weight).flatten()) as tf.Tensor1D,
  }));
  tf.dispose([norm.weight, norm.bias, map.weight, map.bias]);
  return folded;
}

/** The first dModel columns make the queries: divide them by √headSize. Disposes its argument. */
function scaleQueries(map: Linear, dModel: number, heads: number): Linear {
  const scaled = tf.tidy(() => {
    const queries = tf.fill([dModel], 1 / Math.sqrt(dModel / heads));
    const scale = tf.concat([queries, tf.ones([2 * dModel])]);
    return { weight: tf.mul(map.weight, scale) as tf.Tensor2D, bias: tf.mul(map.bias, scale) as tf.Tensor1D };
  });
  tf.dispose([map.weight, map.bias]);
  return scaled;
}
