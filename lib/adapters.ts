/**
 * Prompt-tuning adapters of Hugging Face PEFT: a folder with adapter_config.json and adapter_model.safetensors,
 * as PEFT 0.21 writes and reads it (peft/config.py, peft/tuners/prompt_tuning/config.py). The same content gives
 * the same bytes as there. Nothing pickled is read.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, writeFileAtomic } from './files';
import type { Gpt2Config } from './gpt2';
import { openSafetensors, writeSafetensors, type SafetensorsFile, type Tensor } from './safetensors';
import { fault, mapOf } from './safetensors-header';
import { encode, tokenText } from './tokenizer';

export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
const PICKLED_WEIGHTS = 'adapter_model.bin';
const TENSOR = 'prompt_embeddings';

/** The PEFT whose form these folders have. */
const PEFT_VERSION = '0.21.2';

/** What an adapter says beside its numbers. */
export interface AdapterDescription {
  /** what Python's from_pretrained loads the base model by: a folder or a Hugging Face name */
  readonly baseModel: string;
  /** commit, tag or branch of it */
  readonly revision: string | null;
  /** folder or name of the tokenizer that reads initialText */
  readonly tokenizer: string;
  /** text whose tokens, repeated or cut, the prompt started from; null: it started otherwise */
  readonly initialText: string | null;
}

export interface Adapter extends AdapterDescription {
  /** [promptTokens, dModel] */
  readonly prompt: Tensor;
}

/** Write an adapter folder for a model with this configuration. Throws where the prompt does not fit it. */
export function writeAdapter(folder: string, adapter: Adapter, model: Gpt2Config): void {
  const { prompt, baseModel, revision, tokenizer, initialText } = adapter;
  const [promptTokens, dModel] = prompt.shape;
  if (prompt.shape.length !== 2 || dModel !== model.dModel) {
    throw fault(folder, 'prompt', `the shape [prompt tokens, ${model.dModel}]`, prompt.shape);
  }
  writeSafetensors(join(folder, ADAPTER_WEIGHTS), { [TENSOR]: prompt }, { format: 'pt' });
  const config = {
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    inference_mode: true,
    modules_to_save: null,
    num_attention_heads: model.heads,
    num_layers: model.layers,
    num_transformer_submodules: 1,
    num_virtual_tokens: promptTokens,
    peft_type: 'PROMPT_TUNING',
    peft_version: PEFT_VERSION,
    prompt_tuning_init: initialText === null ? 'RANDOM' : 'TEXT',
    prompt_tuning_init_text: initialText,
    revision,
    task_type: 'CAUSAL_LM',
    token_dim: dModel,
    tokenizer_kwargs: null,
    tokenizer_name_or_path: initialText === null ? null : tokenizer,
  };
  // As Python's json.dumps: sorted, ASCII only, no newline at the end.
  const text = JSON.stringify(config, null, 2).replace(/[\x7f-\uffff]/g, (character) => (
    `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`));
  writeFileAtomic(join(folder, ADAPTER_CONFIG), text);
}

/**
 * Read an adapter folder; F16 and BF16 become float32. With `model` it must fit that model. Throws with file, field,
 * expected and found for anything but a prompt-tuning adapter of a causal language model, and for pickled weights.
 */
export function readAdapter(folder: string, model?: Gpt2Config): Adapter {
  const { shape, ...description } = readDescription(join(folder, ADAPTER_CONFIG), model);
  const file = join(folder, ADAPTER_WEIGHTS);
  if (!existsSync(file)) {
    const pickled = join(folder, PICKLED_WEIGHTS);
    if (!existsSync(pickled)) throw new Error(`${file}: expected, but missing`);
    throw new Error(
      `${pickled}: expected ${ADAPTER_WEIGHTS}, found a pickle, which is never read since it can run code; ` +
      'mend: in Python, save the adapter again with model.save_pretrained(folder)');
  }
  const tensors = openSafetensors(file);
  try {
    return { ...description, prompt: readPrompt(tensors, shape, file) };
  } finally {
    tensors.close();
  }
}

function readPrompt(tensors: SafetensorsFile, shape: readonly number[], file: string): Tensor {
  if (tensors.names.join('\n') !== TENSOR) {
    throw fault(file, 'tensors', `one, named ${TENSOR}`, tensors.names);
  }
  const found = tensors.shapeOf(TENSOR);
  if (found.join() !== shape.join()) {
    throw fault(file, `${TENSOR}: shape`, `[${shape.join(', ')}], as ${ADAPTER_CONFIG} says`, found);
  }
  const prompt = tensors.read(TENSOR);
  const wrong = prompt.data.findIndex((number) => !Number.isFinite(number));
  if (wrong >= 0) {
    throw new Error(`${file}: ${TENSOR}: number ${wrong}: expected a finite one, found ${prompt.data[wrong]}`);
  }
  return prompt;
}

function readDescription(file: string, model?: Gpt2Config): AdapterDescription & { shape: readonly [number, number] } {
  if (!existsSync(file)) throw new Error(`${file}: expected, but missing: this is no adapter folder`);
  const json = readJson(file);
  const fields = mapOf(json);
  if (!fields) throw fault(file, 'content', 'an object', json);
  const oneOf = (field: string, ...allowed: unknown[]): void => {
    const found = fields.get(field) ?? null;
    if (!allowed.includes(found)) {
      throw fault(file, field, allowed.map((value) => JSON.stringify(value)).join(' or '), found);
    }
  };
  const whole = (field: string, ofModel: number | undefined): number => {
    const found = fields.get(field);
    if (!Number.isSafeInteger(found) || (found as number) < 1) {
      throw fault(file, field, 'a whole number from 1', found);
    }
    if (ofModel !== undefined && found !== ofModel) throw fault(file, field, `the model's ${ofModel}`, found);
    return found as number;
  };
  const textOrNull = (field: string): string | null => {
    const found = fields.get(field) ?? null;
    if (found !== null && typeof found !== 'string') throw fault(file, field, 'a text or null', found);
    return found;
  };
  oneOf('peft_type', 'PROMPT_TUNING');
  oneOf('task_type', 'CAUSAL_LM');
  oneOf('num_transformer_submodules', 1, null);
  oneOf('modules_to_save', null);
  oneOf('prompt_tuning_init', 'TEXT', 'RANDOM', 'SAMPLE_VOCAB');
  if ((fields.get('num_layers') ?? null) !== null) whole('num_layers', model?.layers);
  if ((fields.get('num_attention_heads') ?? null) !== null) whole('num_attention_heads', model?.heads);
  return {
    shape: [whole('num_virtual_tokens', undefined), whole('token_dim', model?.dModel)],
    baseModel: textOrNull('base_model_name_or_path') ?? '',
    revision: textOrNull('revision'),
    tokenizer: textOrNull('tokenizer_name_or_path') ?? '',
    initialText: fields.get('prompt_tuning_init') === 'TEXT' ? textOrNull('prompt_tuning_init_text') : null,
  };
}

/** The tokens that PEFT starts a prompt from: those of the text, repeated or cut to `count` (PromptEmbedding). */
export function initialTokens(initialText: string, count: number): number[] {
  const ids = encode(initialText);
  return ids.length === 0 ? [] : Array.from({ length: count }, (_, i) => ids[i % ids.length]);
}

/**
 * The text of which PEFT makes `count` times the one token of a word: the word as often, as the paper's authors give
 * it ('catcatcatcat'), or once where so many together are other tokens.
 */
export function initialTextOf(word: string, count: number): string {
  const repeated = word.repeat(count);
  const [id] = encode(word);
  const tokens = encode(repeated);
  return tokens.length === count && tokens.every((token) => token === id) ? repeated : word;
}

/** The word of an initial text whose tokens are all the same; undefined where they are not. */
export function initialWordOf(initialText: string, count: number): string | undefined {
  const [first, ...rest] = initialTokens(initialText, count);
  return first !== undefined && rest.every((id) => id === first) ? tokenText(first) : undefined;
}
