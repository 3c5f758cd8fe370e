/** A GPT-2 of three bfloat16 shards, made here, as files of a repository on the hub. */
import { createRandom } from '../lib/random';
import { tinyConfig, tinyShapes } from './gpt2-fixtures';
import type { HubRepository } from './hub-server';

export const checkpointSize = { vocabulary: 3000, dModel: 32, layers: 3, heads: 4, positions: 40 };
export const commit = '0123456789abcdef0123456789abcdef01234567';
export const shards = [1, 2, 3].map((number) => `model-0000${number}-of-00003.safetensors`);
const indexName = 'model.safetensors.index.json';

/** The numbers of a tensor: exact in bfloat16, so that reading gives them back. */
export function numbersOf(name: string, shape: readonly number[]): Float32Array {
  const random = createRandom([...Buffer.from(name)]);
  const length = shape.reduce((product, size) => product * size, 1);
  return Float32Array.from({ length }, () => (random.integers(256) - 128) / 256);
}

export function shardedRepository(id: string): HubRepository {
  const shapes = Object.entries(tinyShapes(checkpointSize));
  const shardOf = (name: string) => shards[name === 'wte.weight' ? 0 : /^h\.[01]\./.test(name) ? 1 : 2];
  const files = Object.fromEntries(shards.map((shard) => (
    [shard, bfloatFile(shapes.filter(([name]) => shardOf(name) === shard))])));
  const weightMap = Object.fromEntries(shapes.map(([name]) => [`transformer.${name}`, shardOf(name)]));
  return {
    id, commit, references: { main: commit, 'v1.0': commit, 'refs/pr/1': commit },
    files: {
      ...files,
      'config.json': json(tinyConfig(checkpointSize)),
      [indexName]: json({ metadata: {}, weight_map: weightMap }),
      // what nobody needs
      'README.md': Buffer.from('# Tiny\n'),
      'pytorch_model.bin': Buffer.alloc(1000, 7),
      'onnx/decoder_model.onnx': Buffer.alloc(10),
    },
  };
}

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value, null, 2));

function bfloatFile(shapes: readonly [string, number[]][]): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const parts: Buffer[] = [];
  let at = 0;
  for (const [name, shape] of shapes) {
    const bits = new Uint32Array(numbersOf(name, shape).buffer);
    const data = Buffer.from(Uint16Array.from(bits, (value) => value >>> 16).buffer);
    header[`transformer.${name}`] = { dtype: 'BF16', shape, data_offsets: [at, at += data.length] };
    parts.push(data);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}
