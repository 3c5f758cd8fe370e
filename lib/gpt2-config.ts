/** GPT-2's configuration, from a Hugging Face config.json. */
import { readJson } from './files';
import { vocabularySize as tokens } from './tokenizer';

export interface Gpt2Config {
  readonly vocabularySize: number;
  /** longest sequence */
  readonly positions: number;
  readonly dModel: number;
  readonly layers: number;
  readonly heads: number;
  readonly layerNormEpsilon: number;
}

/** Variants of GPT-2 in transformers' GPT2Config that change the function: only the usual one is computed. */
const SUPPORTED_SETTINGS = {
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  reorder_and_upcast_attn: false,
  add_cross_attention: false,
  tie_word_embeddings: true,
};

/** Read and check a config.json. Throws with file, field, expected and found. */
export function readConfig(file: string): Gpt2Config {
  const json = readJson(file) as Record<string, unknown>;
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error(`${file}: expected an object`);
  const refuse = (field: string, expected: string): never => {
    throw new Error(`${file}: ${field}: expected ${expected}, found ${String(JSON.stringify(json[field])).slice(0, 80)}`);
  };
  const whole = (field: string): number => {
    const value = json[field];
    return Number.isSafeInteger(value) && (value as number) > 0
      ? (value as number) : refuse(field, 'a whole number above 0');
  };
  if (json.model_type !== 'gpt2') refuse('model_type', '"gpt2"');
  if (!['gelu_new', 'gelu_pytorch_tanh', undefined].includes(json.activation_function as string)) {
    refuse('activation_function', '"gelu_new"');
  }
  for (const [field, usual] of Object.entries(SUPPORTED_SETTINGS)) {
    if (json[field] !== undefined && json[field] !== usual) refuse(field, String(usual));
  }
  const dModel = whole('n_embd');
  const heads = whole('n_head');
  if (dModel % heads !== 0) refuse('n_head', `a divisor of n_embd = ${dModel}`);
  if (json.n_inner !== undefined && json.n_inner !== null && json.n_inner !== 4 * dModel) {
    refuse('n_inner', `null or ${4 * dModel}`);
  }
  const layers = whole('n_layer');
  // GPT-2 XL has 48; a list of the tensors of 10¹⁵ layers would not fit into memory.
  if (layers > 1000) refuse('n_layer', 'at most 1000');
  const layerNormEpsilon = json.layer_norm_epsilon ?? 1e-5;
  if (typeof layerNormEpsilon !== 'number' || !(layerNormEpsilon > 0)) {
    refuse('layer_norm_epsilon', 'a number above 0');
  }
  return {
    vocabularySize: whole('vocab_size'),
    positions: whole('n_positions'),
    dModel,
    layers,
    heads,
    layerNormEpsilon: layerNormEpsilon as number,
  };
}

/**
 * Throws where a model has another number of tokens than GPT-2: texts are always cut into GPT-2's, and such a model
 * would read other words than were written.
 */
export function checkVocabulary({ vocabularySize }: Gpt2Config, folder: string): void {
  if (vocabularySize === tokens) return;
  throw new Error(`${folder}/config.json: vocab_size: expected ${tokens}, the tokens of GPT-2 into which texts are cut, ` +
    `found ${vocabularySize}`);
}
