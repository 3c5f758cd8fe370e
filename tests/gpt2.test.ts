import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { before } from 'node:test';

import { startBackend } from '../lib/backend';
import { writeJsonAtomic } from '../lib/files';
import { disposeGpt2, loadGpt2, readConfig } from '../lib/gpt2';
import { writeSafetensors, type Tensor } from '../lib/safetensors';
import { FIXTURE_NAMES, readFixture, tinyConfig, tinyShapes, withoutLeak, writeTinyModel } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

const size = { vocabulary: 11, dModel: 6, layers: 2, heads: 2, positions: 8 };

function inTemporaryFolder(work: (folder: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-gpt2-'));
  try {
    work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The error of reading a tiny config.json with some fields changed; undefined removes the field. */
function configError(changes: Record<string, unknown>): string {
  let message = '';
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'config.json');
    writeJsonAtomic(file, { ...tinyConfig(size), ...changes });
    assert.throws(() => readConfig(file), (error: Error) => {
      assert.ok(error.message.startsWith(`${file}: `), error.message);
      message = error.message.slice(file.length + 2);
      return true;
    }, JSON.stringify(changes));
  });
  return message;
}

test('Every kind of checkpoint loads with its configuration, and disposing leaves no tensor behind.', () => {
  // layers and heads as tests/reference/gpt2.py made them
  const expected = {
    'one-head': [1, 1, 8], 'odd-heads': [2, 3, 48], 'deep-half': [6, 2, 16], 'wide-bfloat': [2, 1, 64],
    'many-heads': [1, 25, 100],
  };
  for (const name of FIXTURE_NAMES) {
    withoutLeak(() => {
      const model = loadGpt2(readFixture(name).folder);
      const { layers, heads, dModel, positions, layerNormEpsilon } = model.config;
      assert.deepEqual([layers, heads, dModel], expected[name]);
      assert.deepEqual([positions, layerNormEpsilon], [40, name === 'odd-heads' ? 1e-3 : 1e-5]);
      disposeGpt2(model);
    });
  }
});

test('A config.json of another architecture or variant is refused with field, expected and found.', () => {
  assert.equal(configError({ model_type: 'llama' }), 'model_type: expected "gpt2", found "llama"');
  assert.equal(
    configError({ activation_function: 'relu' }), 'activation_function: expected "gelu_new", found "relu"');
  assert.equal(configError({ tie_word_embeddings: false }), 'tie_word_embeddings: expected true, found false');
  assert.equal(
    configError({ scale_attn_by_inverse_layer_idx: true }),
    'scale_attn_by_inverse_layer_idx: expected false, found true');
  assert.equal(configError({ add_cross_attention: true }), 'add_cross_attention: expected false, found true');
  assert.equal(configError({ n_inner: 7 }), 'n_inner: expected null or 24, found 7');
  assert.equal(configError({ n_head: 4 }), 'n_head: expected a divisor of n_embd = 6, found 4');
  assert.equal(configError({ n_layer: 0 }), 'n_layer: expected a whole number above 0, found 0');
  assert.equal(configError({ vocab_size: '11' }), 'vocab_size: expected a whole number above 0, found "11"');
  assert.equal(
    configError({ n_positions: undefined }), 'n_positions: expected a whole number above 0, found undefined');
  assert.equal(
    configError({ layer_norm_epsilon: -1 }), 'layer_norm_epsilon: expected a number above 0, found -1');
});

test('A config.json that is no object is refused.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'config.json');
    writeJsonAtomic(file, [1]);
    assert.throws(() => readConfig(file), { message: `${file}: expected an object` });
  });
});

function tensorOf(shape: readonly number[], value: number): Tensor {
  return { shape, data: new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(value) };
}

/** The error of loading a tiny checkpoint whose tensors are changed. */
function loadError(
  change: (tensors: Record<string, Tensor>) => void, folderFiles?: (folder: string) => void,
): string {
  let message = '';
  inTemporaryFolder((folder) => {
    writeJsonAtomic(path.join(folder, 'config.json'), tinyConfig(size));
    const tensors: Record<string, Tensor> = Object.fromEntries(
      Object.entries(tinyShapes(size)).map(([name, shape]) => [name, tensorOf(shape, 0)]));
    change(tensors);
    writeSafetensors(path.join(folder, 'model.safetensors'), tensors);
    folderFiles?.(folder);
    withoutLeak(() => assert.throws(() => loadGpt2(folder), (error: Error) => {
      message = error.message.replace(folder, '<folder>');
      return true;
    }));
  });
  return message;
}

test('A tensor that is missing, unknown or of a wrong shape is named in the error.', () => {
  assert.equal(
    loadError((tensors) => delete tensors['h.1.mlp.c_fc.bias']),
    '<folder>: tensor h.1.mlp.c_fc.bias: expected, but missing');
  assert.equal(
    loadError((tensors) => (tensors['h.2.ln_1.weight'] = tensors['h.1.ln_1.weight'])),
    '<folder>: tensor h.2.ln_1.weight: not part of this GPT-2');
  assert.match(
    loadError((tensors) => (tensors['transformer.wte.weight'] = tensors['wte.weight'])),
    /^<folder>: tensor wte\.weight: expected once, found as (transformer\.)?wte\.weight too$/);
  assert.equal(
    loadError((tensors) => (tensors['wpe.weight'] = { shape: [6, 8], data: new Float32Array(48) })),
    '<folder>: tensor wpe.weight: expected shape [8, 6], found [6, 8]');
});

test('A folder without weights, and one without config.json, are refused.', () => {
  assert.match(
    loadError(() => undefined, (folder) => fs.rmSync(path.join(folder, 'model.safetensors'))),
    /<folder>: expected model.safetensors or model.safetensors.index.json, found neither/);
  assert.match(
    loadError(() => undefined, (folder) => fs.rmSync(path.join(folder, 'config.json'))), /<folder>\/config\.json/);
});

test('Names may begin with "transformer.", and masks and a tied output matrix may be stored.', () => {
  inTemporaryFolder((folder) => {
    writeTinyModel(folder, size);
    const tensors = Object.fromEntries(Object.entries(tinyShapes(size)).map(([name, shape]) => (
      [`transformer.${name}`, tensorOf(shape, 0.5)])));
    writeSafetensors(path.join(folder, 'model.safetensors'), {
      ...tensors,
      'lm_head.weight': tensors['transformer.wte.weight'],
      'transformer.h.0.attn.bias': { shape: [1, 1, 8, 8], data: new Float32Array(64) },
      'transformer.h.1.attn.masked_bias': { shape: [1], data: new Float32Array(1) },
    });
    withoutLeak(() => {
      const model = loadGpt2(folder);
      assert.deepEqual([...model.finalScale.dataSync()], new Array<number>(6).fill(0.5));
      disposeGpt2(model);
    });
  });
});
