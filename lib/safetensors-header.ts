/** The header of a safetensors file, parsed and fully checked. */

import { parseJson } from './json';

/** One tensor of the header. */
export interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the end of the header; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

/** Bits of one number of each dtype of the format (safetensors 0.8). */
const dtypeBits: ReadonlyMap<string, number> = new Map([
  ['F4', 4], ['F6_E2M3', 6], ['F6_E3M2', 6], ['BOOL', 8], ['U8', 8], ['I8', 8],
  ['F8_E5M2', 8], ['F8_E4M3', 8], ['F8_E8M0', 8], ['F8_E4M3FNUZ', 8], ['F8_E5M2FNUZ', 8],
  ['I16', 16], ['U16', 16], ['F16', 16], ['BF16', 16], ['I32', 32], ['U32', 32], ['F32', 32],
  ['C64', 64], ['F64', 64], ['I64', 64], ['U64', 64],
]);

/** The longest header that the format's own reader accepts, in bytes. */
export const maximumHeaderBytes = 100_000_000;

/** A checked header: its tensors in the order of their data, which they cover without hole or overlap. */
export interface Header { readonly entries: readonly Entry[]; readonly metadata: ReadonlyMap<string, string> }

/**
 * Parse and check the JSON header of a file that has `dataBytes` bytes after it. Throws an error with file,
 * field, expected and found.
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, file: string): Header {
  if (bytes[0] !== 0x7b) throw new Error(`${file}: header: expected "{" first, found byte ${bytes[0]}`);
  const header = mapOf(parseJson(bytes, `${file}: header`)) ?? new Map<string, unknown>();
  const metadata = metadataOf(header, file);
  const entries = entriesOf(header, file);
  checkLayout(entries, dataBytes, file);
  return { entries, metadata };
}

/** The entries of a JSON object, safe for any name; undefined for everything else. */
export function mapOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value));
}

function metadataOf(header: ReadonlyMap<string, unknown>, file: string): Map<string, string> {
  if (!header.has('__metadata__')) return new Map();
  const metadata = mapOf(header.get('__metadata__'));
  const texts = metadata && [...metadata.values()].every((value) => typeof value === 'string');
  if (!texts) throw fault(file, '__metadata__', 'an object of strings', header.get('__metadata__'));
  return metadata as Map<string, string>;
}

/** How errors name a tensor. */
export function tensorField(name: string): string {
  return `tensor ${JSON.stringify(name)}`;
}

/** An error with file, field, what was expected and what was found, cut short where it is long. */
export function fault(file: string, field: string, expected: string, found: unknown): Error {
  const text = found === undefined ? 'nothing' : JSON.stringify(found);
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new Error(`${file}: ${field}: expected ${expected}, found ${shown}`);
}

function entriesOf(header: ReadonlyMap<string, unknown>, file: string): Entry[] {
  return [...header].filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => entryOf(name, value, file))
    .sort((left, right) => left.start - right.start || left.end - right.end);
}

function entryOf(name: string, value: unknown, file: string): Entry {
  const field = tensorField(name);
  const fields = mapOf(value);
  if (!fields || fields.size !== 3) {
    throw fault(file, field, 'an object of dtype, shape and data_offsets', value);
  }
  const dtype = fields.get('dtype');
  const bits = typeof dtype === 'string' ? dtypeBits.get(dtype) : undefined;
  if (bits === undefined) {
    throw fault(file, `${field}: dtype`, `one of ${[...dtypeBits.keys()].join(', ')}`, dtype);
  }
  const shape = wholeNumbers(fields.get('shape'));
  if (!shape) throw fault(file, `${field}: shape`, 'a list of whole numbers from 0', fields.get('shape'));
  const offsets = wholeNumbers(fields.get('data_offsets'));
  if (!offsets || offsets.length !== 2 || offsets[0] > offsets[1]) {
    const expected = 'two rising whole numbers from 0';
    throw fault(file, `${field}: data_offsets`, expected, fields.get('data_offsets'));
  }
  const bytes = shape.reduce((product, length) => product * length, 1) * bits / 8;
  if (!Number.isSafeInteger(bytes) || offsets[1] - offsets[0] !== bytes) {
    const expected = `${bytes} bytes for ${String(dtype)} [${shape.join(', ')}]`;
    throw fault(file, `${field}: data_offsets`, expected, offsets[1] - offsets[0]);
  }
  return { name, dtype: dtype as string, shape, start: offsets[0], end: offsets[1] };
}

/** The value where it is a list of whole numbers from 0, else undefined. */
export function wholeNumbers(value: unknown): number[] | undefined {
  const whole = (item: unknown): boolean => Number.isSafeInteger(item) && (item as number) >= 0;
  return Array.isArray(value) && value.every(whole) ? value as number[] : undefined;
}

function checkLayout(entries: readonly Entry[], dataBytes: number, file: string): void {
  let at = 0;
  for (const { name, start, end } of entries) {
    if (start !== at) {
      const expected = `a start at ${at}, without hole or overlap`;
      throw fault(file, `${tensorField(name)}: data_offsets`, expected, start);
    }
    at = end;
  }
  if (at !== dataBytes) throw fault(file, 'data', `${at} bytes as the header says`, dataBytes);
}
