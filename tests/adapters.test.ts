import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after, before } from 'node:test';

import { initialTextOf, initialTokens, initialWordOf, readAdapter, writeAdapter, type Adapter } from '../lib/adapters';
import { startBackend, tf } from '../lib/backend';
import { readJson, writeJsonAtomic } from '../lib/files';
import { nextTokenLogits } from '../lib/forward';
import { disposeGpt2, loadGpt2, readConfig, type Gpt2 } from '../lib/gpt2';
import { disposeLayout, layOut } from '../lib/layout';
import { writeSafetensors, type Tensor } from '../lib/safetensors';
import { ADAPTER_WORDS, ADAPTERS_FOLDER, writeFixtureAdapters } from './adapter-fixtures';
import { relativeError } from './gpt2-fixtures';

const reference = path.join(__dirname, 'reference');
const pythonsFolder = path.join(reference, 'adapter');
const baseFolder = path.join(reference, 'fixtures', 'gpt2-odd-heads');
const config = readConfig(path.join(baseFolder, 'config.json'));
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-adapters-'));

interface Answer {
  readonly ids: readonly number[];
  readonly lastLogits: readonly number[];
}

let model: Gpt2;
before(async () => {
  await startBackend({ threads: 1 });
  model = loadGpt2(baseFolder);
});
after(() => {
  disposeGpt2(model);
  fs.rmSync(temporary, { recursive: true, force: true });
});

function lastLogits({ shape, data }: Tensor, ids: readonly number[]): Float32Array {
  const layout = layOut([[{ textTokens: ids, labelTokens: [0] }]], shape[0], 0);
  const logits = tf.tidy(() => (
    nextTokenLogits(model, tf.tensor3d(data, [1, shape[0], shape[1]]), layout).dataSync() as Float32Array));
  disposeLayout(layout);
  return logits;
}

test("A folder that PEFT saved gives PEFT's logits.", () => {
  const adapter = readAdapter(pythonsFolder, config);
  assert.deepEqual(adapter.prompt.shape, [4, 48]);
  assert.deepEqual(
    [adapter.baseModel, adapter.revision, adapter.tokenizer, adapter.initialText], ['gpt2-odd-heads', null, '', null]);
  const expected = readJson(path.join(pythonsFolder, 'expected.json')) as Answer;
  assert.ok(relativeError(lastLogits(adapter.prompt, expected.ids), expected.lastLogits) <= 1e-5);
});

test('What PEFT saved, read and written again, is the same bytes.', () => {
  const folder = path.join(temporary, 'again');
  writeAdapter(folder, readAdapter(pythonsFolder), config);
  for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
    assert.deepEqual(fs.readFileSync(path.join(folder, file)), fs.readFileSync(path.join(pythonsFolder, file)), file);
  }
});

test('What is written is byte for byte what Python loaded with PEFT, with the same logits and initial tokens.', () => {
  writeFixtureAdapters(temporary);
  const { adapters } = readJson(path.join(ADAPTERS_FOLDER, 'expected.json')) as (
    { adapters: Record<string, Answer & { initialTokens: readonly number[] }> });
  assert.deepEqual(Object.keys(adapters), Object.keys(ADAPTER_WORDS));
  for (const [name, expected] of Object.entries(adapters)) {
    for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
      assert.deepEqual(
        fs.readFileSync(path.join(temporary, name, file)), fs.readFileSync(path.join(ADAPTERS_FOLDER, name, file)));
    }
    const { prompt, initialText } = readAdapter(path.join(temporary, name), config);
    assert.ok(relativeError(lastLogits(prompt, expected.ids), expected.lastLogits) <= 1e-5);
    assert.deepEqual(initialTokens(initialText!, 4), expected.initialTokens);
  }
});

test("An initial text is the word as often as there are vectors, where that is the word's token as often.", () => {
  // GPT2TokenizerFast of transformers 5.23.0: 'catcatcatcat' is 9246 four times, '////' another single token
  assert.equal(initialTextOf('cat', 4), 'catcatcatcat');
  assert.deepEqual(initialTokens('catcatcatcat', 4), [9246, 9246, 9246, 9246]);
  assert.equal(initialTextOf('/', 4), '/');
  assert.deepEqual(initialTokens('/', 4), [14, 14, 14, 14]);
  assert.equal(initialTextOf(' dog', 2), ' dog dog');
  // PEFT repeats the tokens of a short text, and cuts those of a long one
  assert.deepEqual(initialTokens('cat dog', 5), [9246, 3290, 9246, 3290, 9246]);
  assert.deepEqual(initialTokens('cat dog', 1), [9246]);
  for (const word of ['cat', '/', ' dog']) assert.equal(initialWordOf(initialTextOf(word, 4), 4), word);
  assert.equal(initialWordOf('cat dog', 4), undefined);
  assert.equal(initialWordOf('', 4), undefined);
});

test('A text beyond ASCII is written as Python writes it and read as it was.', () => {
  const folder = path.join(temporary, 'accents');
  const adapter: Adapter = { ...readAdapter(pythonsFolder), initialText: 'é😀', tokenizer: 'x', baseModel: '/möd' };
  writeAdapter(folder, adapter, config);
  const text = fs.readFileSync(path.join(folder, 'adapter_config.json'), 'latin1');
  assert.match(text, /"prompt_tuning_init_text": "\\u00e9\\ud83d\\ude00"/); // json.dumps('é😀')
  assert.deepEqual(readAdapter(folder), adapter);
});

test('A prompt that does not fit the model is not written.', () => {
  const folder = path.join(temporary, 'unfit');
  const prompt = { shape: [4, 47], data: new Float32Array(4 * 47) };
  assert.throws(
    () => writeAdapter(folder, { ...readAdapter(pythonsFolder), prompt }, config),
    /prompt: expected the shape \[prompt tokens, 48\], found \[4,47\]/);
  assert.ok(!fs.existsSync(folder));
});

/** A copy of the folder that PEFT saved, changed. */
function changed(name: string, fields: Record<string, unknown>, tensors?: Record<string, Tensor>): string {
  const folder = path.join(temporary, name);
  const json = readJson(path.join(pythonsFolder, 'adapter_config.json')) as object;
  writeJsonAtomic(path.join(folder, 'adapter_config.json'), { ...json, ...fields });
  const file = path.join(folder, 'adapter_model.safetensors');
  if (tensors) writeSafetensors(file, tensors);
  else fs.copyFileSync(path.join(pythonsFolder, 'adapter_model.safetensors'), file);
  return folder;
}

const zeros = (...shape: number[]): Tensor => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });

test('Half precision is read as float32: what F16 holds comes back exactly.', () => {
  const { prompt } = readAdapter(pythonsFolder);
  const half = changed('half', {});
  const rounded = { ...prompt, data: prompt.data.map((number) => Math.round(number * 64) / 64) };
  writeSafetensors(path.join(half, 'adapter_model.safetensors'), { prompt_embeddings: rounded }, undefined, 'F16');
  assert.deepEqual(readAdapter(half, config).prompt, rounded);

  const bfloat = changed('bfloat', { num_virtual_tokens: 1, token_dim: 2, num_attention_heads: null });
  const header = Buffer.from('{"prompt_embeddings":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const numbers = Buffer.from([0x80, 0x3f, 0x20, 0xc0]); // bfloat16 of 1 and -2.5
  fs.writeFileSync(path.join(bfloat, 'adapter_model.safetensors'), Buffer.concat([length, header, numbers]));
  assert.deepEqual(readAdapter(bfloat).prompt, { shape: [1, 2], data: new Float32Array([1, -2.5]) });
});

test('A configuration of anything else is refused with file, field, expected and found.', () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ peft_type: 'LORA' }, /: peft_type: expected "PROMPT_TUNING", found "LORA"$/],
    [{ peft_type: undefined }, /: peft_type: expected "PROMPT_TUNING", found null$/],
    [{ task_type: 'SEQ_2_SEQ_LM' }, /: task_type: expected "CAUSAL_LM", found "SEQ_2_SEQ_LM"$/],
    [{ num_transformer_submodules: 2 }, /: num_transformer_submodules: expected 1 or null, found 2$/],
    [{ modules_to_save: ['lm_head'] }, /: modules_to_save: expected null, found \["lm_head"\]$/],
    [{ prompt_tuning_init: 'OTHER' }, /: prompt_tuning_init: expected "TEXT" or "RANDOM" or "SAMPLE_VOCAB", found "OTHER"$/],
    [{ prompt_tuning_init: 'TEXT', prompt_tuning_init_text: 3 }, /: prompt_tuning_init_text: expected a text or null, found 3$/],
    [{ num_virtual_tokens: '4' }, /: num_virtual_tokens: expected a whole number from 1, found "4"$/],
    [{ token_dim: 0 }, /: token_dim: expected a whole number from 1, found 0$/],
    [{ token_dim: 64 }, /: token_dim: expected the model's 48, found 64$/],
    [{ num_layers: 12 }, /: num_layers: expected the model's 2, found 12$/],
    [{ num_attention_heads: 12 }, /: num_attention_heads: expected the model's 3, found 12$/],
  ];
  for (const [fields, message] of cases) {
    const folder = changed('wrong', fields);
    assert.throws(() => readAdapter(folder, config), ({ message: found }: Error) => {
      assert.ok(found.startsWith(path.join(folder, 'adapter_config.json')), found);
      assert.match(found, message);
      return true;
    });
  }
  fs.writeFileSync(path.join(temporary, 'wrong', 'adapter_config.json'), '[]');
  assert.throws(() => readAdapter(path.join(temporary, 'wrong')), /adapter_config\.json: content: expected an object, found \[\]/);
  assert.throws(() => readAdapter(baseFolder), /adapter_config\.json: expected, but missing: this is no adapter folder/);
});

test('Tensors other than the one that is described are refused with file, expected and found.', () => {
  const infinite = { shape: [4, 48], data: new Float32Array(4 * 48).fill(Infinity, 50, 51) };
  const cases: [Record<string, Tensor>, RegExp][] = [
    [{ prompt_embeddings: zeros(4, 48), more: zeros(1) },
      /: tensors: expected one, named prompt_embeddings, found \["more","prompt_embeddings"\]$/],
    [{ other: zeros(4, 48) }, /: tensors: expected one, named prompt_embeddings, found \["other"\]$/],
    [{}, /: tensors: expected one, named prompt_embeddings, found \[\]$/],
    [{ prompt_embeddings: zeros(5, 48) }, /: prompt_embeddings: shape: expected \[4, 48\], as adapter_config\.json says, found \[5,48\]$/],
    [{ prompt_embeddings: zeros(4 * 48) }, /: prompt_embeddings: shape: expected \[4, 48\].*, found \[192\]$/],
    [{ prompt_embeddings: infinite }, /: prompt_embeddings: number 50: expected a finite one, found Infinity$/],
  ];
  for (const [tensors, message] of cases) {
    const folder = changed('wrong', {}, tensors);
    assert.throws(() => readAdapter(folder, config), ({ message: found }: Error) => {
      assert.ok(found.startsWith(path.join(folder, 'adapter_model.safetensors')), found);
      assert.match(found, message);
      return true;
    });
  }
  const whole = Buffer.from('{"prompt_embeddings":{"dtype":"I32","shape":[4,48],"data_offsets":[0,768]}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(whole.length));
  const folder = changed('wrong', {});
  fs.writeFileSync(path.join(folder, 'adapter_model.safetensors'), Buffer.concat([length, whole, Buffer.alloc(768)]));
  assert.throws(() => readAdapter(folder), /tensor "prompt_embeddings": dtype: expected F32, F16 or BF16 to read it, found "I32"/);
});

test('A pickle is refused with the reason and what to do, and is not read.', () => {
  const folder = changed('pickled', {});
  const file = path.join(folder, 'adapter_model.safetensors');
  fs.rmSync(file);
  assert.throws(() => readAdapter(folder), { message: `${file}: expected, but missing` });
  fs.writeFileSync(path.join(folder, 'adapter_model.bin'), 'no pickle at all');
  assert.throws(
    () => readAdapter(folder),
    /adapter_model\.bin: expected adapter_model\.safetensors, found a pickle, which is never read.*save_pretrained/);
});
