// Writes a random GPT-2 of a given shape: config.json and model.safetensors, float32, as transformers names them.
// For measuring only: the numbers are a seeded block of normal ones, standard deviation 0.02, said over and over.
//
//   node bench/make-checkpoint.mjs 124m|medium|large|xl|LAYERSxWIDTH FOLDER     needs lib/dist (npm run build)
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const { writeJsonAtomic, writePiecesAtomic } = require('../lib/dist/files.js');
const { createRandom } = require('../lib/dist/random.js');

// layers, heads, width
const SHAPES = { '124m': [12, 12, 768], medium: [24, 16, 1024], large: [36, 20, 1280], xl: [48, 25, 1600] };
const VOCABULARY = 50257;
const POSITIONS = 1024;
const SEED = 1;
/** Numbers of the block: a prime, so that no two rows of a matrix are the same. */
const BLOCK = 262_147;

const [shapeName, folder] = process.argv.slice(2);
const shape = shapeOf(shapeName ?? '');
if (!shape || !folder) {
  console.error(`node bench/make-checkpoint.mjs ${Object.keys(SHAPES).join('|')}|LAYERSxWIDTH FOLDER`);
  process.exit(2);
}
const bytes = writeCheckpoint(folder, shape);
const [layers, heads, width] = shape;
console.log(`${folder}: ${layers} layers, ${heads} heads, ${width} wide, ${(bytes / 1e9).toFixed(2)} GB`);

/** [layers, heads, width]; heads of 64 where only layers and width are given. */
function shapeOf(name) {
  const [, layers, width] = /^([1-9]\d*)x([1-9]\d*)$/.exec(name) ?? [];
  if (layers === undefined) return Object.hasOwn(SHAPES, name) ? SHAPES[name] : undefined;
  return Number(width) % 64 === 0 ? [Number(layers), Number(width) / 64, Number(width)] : undefined;
}

function writeCheckpoint(folder, [layers, heads, width]) {
  fs.mkdirSync(folder, { recursive: true });
  writeJsonAtomic(path.join(folder, 'config.json'), {
    architectures: ['GPT2LMHeadModel'], model_type: 'gpt2', activation_function: 'gelu_new',
    vocab_size: VOCABULARY, n_positions: POSITIONS, n_ctx: POSITIONS, n_embd: width, n_layer: layers, n_head: heads,
    layer_norm_epsilon: 1e-5, bos_token_id: 50256, eos_token_id: 50256,
  });
  const file = path.join(folder, 'model.safetensors');
  writePiecesAtomic(file, pieces(tensorsOf(layers, width)));
  return fs.statSync(file).size;
}

/** Names and shapes in the order of the data. */
function tensorsOf(layers, d) {
  const maps = { 'attn.c_attn': [d, 3 * d], 'attn.c_proj': [d, d], 'mlp.c_fc': [d, 4 * d], 'mlp.c_proj': [4 * d, d] };
  const block = Object.entries(maps).flatMap(([name, shape]) => [[`${name}.weight`, shape], [`${name}.bias`, [shape[1]]]]);
  const norm = (name) => [[`${name}.weight`, [d]], [`${name}.bias`, [d]]];
  const layer = (i) => [...norm('ln_1'), ...norm('ln_2'), ...block].map(([name, shape]) => [`h.${i}.${name}`, shape]);
  return [
    ['wte.weight', [VOCABULARY, d]], ['wpe.weight', [POSITIONS, d]],
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(), ...norm('ln_f'),
  ];
}

/** The file, piece by piece: a block at a time is all that is held. */
function* pieces(tensors) {
  const random = createRandom(SEED);
  const normal = Float32Array.from({ length: BLOCK }, () => 0.02 * random.normal());
  const constant = { 'ln_.*weight': new Float32Array(BLOCK).fill(1), '.*bias': new Float32Array(BLOCK) };
  let at = 0;
  const sizes = tensors.map(([, shape]) => shape.reduce((product, size) => product * size, 1));
  const entries = tensors.map(([name, shape], i) => (
    [name, { dtype: 'F32', shape, data_offsets: [at, at += 4 * sizes[i]] }]));
  const header = JSON.stringify(Object.fromEntries([['__metadata__', { format: 'pt' }], ...entries]));
  const text = Buffer.from(header.padEnd(8 * Math.ceil(header.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  yield Buffer.concat([length, text]);

  let place = 0; // in the block of normal numbers, going round
  for (const [i, [name]] of tensors.entries()) {
    const kind = Object.keys(constant).find((pattern) => new RegExp(`(^|\\.)${pattern}$`).test(name));
    for (let left = sizes[i]; left > 0;) {
      const from = kind === undefined ? place : 0;
      const count = Math.min(left, BLOCK - from);
      const numbers = (kind === undefined ? normal : constant[kind]).subarray(from, from + count);
      yield new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
      if (kind === undefined) place = (place + count) % BLOCK;
      left -= count;
    }
  }
}
