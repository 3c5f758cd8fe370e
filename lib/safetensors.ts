/**
 * Tensors on disk in the safetensors format, read one by one in bounded memory.
 * Format: 8 bytes header length, JSON header, data; https://github.com/huggingface/safetensors#format
 */

import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';

import { readJson, writePiecesAtomic } from './files';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from './halves';
import {
  fault, mapOf, maximumHeaderBytes, parseHeader, tensorField, wholeNumbers, type Entry,
} from './safetensors-header';

/** Numbers in row-major order. */
export interface Tensor { readonly shape: readonly number[]; readonly data: Float32Array }

/** An open safetensors file, or the shards of a checkpoint as if they were one. */
export interface SafetensorsFile {
  /** In the order of the data. */
  readonly names: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  /** Throws where there is no such tensor, as `dtypeOf` and `read` do. */
  shapeOf(name: string): readonly number[];
  /** As the file says it: 'F32', 'F16', 'BF16', 'I64' … */
  dtypeOf(name: string): string;
  /** The tensor as float32; throws for anything but F32, F16 and BF16, and after `close`. */
  read(name: string): Tensor;
  close(): void;
}

/** A checkpoint's weights in one file, or the list of its shards. */
export const weightsName = 'model.safetensors';
export const indexName = `${weightsName}.index.json`;

/** Numbers converted at once: 4 MiB of float32. */
const pieceLength = 1024 * 1024;

/**
 * Open a safetensors file and check its whole header: lengths, names, dtypes, shapes and that the data areas
 * cover the file without hole or overlap. Throws an error with file, field, expected and found. The caller
 * closes it.
 */
export function openSafetensors(file: string): SafetensorsFile {
  requireLittleEndian();
  let descriptor: number | undefined = fs.openSync(file, 'r');
  try {
    const size = fs.fstatSync(descriptor).size;
    const headerBytes = readHeader(descriptor, size, file);
    const dataStart = 8 + headerBytes.length;
    const { entries, metadata } = parseHeader(headerBytes, size - dataStart, file);
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    const entryOf = (name: string): Entry => {
      const entry = byName.get(name);
      if (!entry) throw new Error(`${file}: ${tensorField(name)}: expected, but it is not in the file`);
      return entry;
    };
    return {
      names: entries.map((entry) => entry.name),
      metadata,
      shapeOf: (name) => entryOf(name).shape,
      dtypeOf: (name) => entryOf(name).dtype,
      read(name) {
        const entry = entryOf(name);
        if (descriptor === undefined) throw new Error(`${file}: ${tensorField(name)}: the file is closed`);
        return { shape: entry.shape, data: readNumbers(descriptor, dataStart, entry, file) };
      },
      close() {
        if (descriptor !== undefined) fs.closeSync(descriptor);
        descriptor = undefined;
      },
    };
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
}

function requireLittleEndian(): void {
  if (os.endianness() !== 'LE') {
    throw new Error('safetensors: expected a little-endian machine, found a big-endian one');
  }
}

function readHeader(descriptor: number, size: number, file: string): Buffer {
  if (size < 8) throw new Error(`${file}: header length: expected 8 bytes, found a file of ${size}`);
  const length = Number(readBytes(descriptor, 0, 8, file).readBigUInt64LE(0));
  const limit = Math.min(size - 8, maximumHeaderBytes);
  if (length < 2 || length > limit) {
    throw new Error(`${file}: header length: expected 2 to ${limit} bytes, found ${length}`);
  }
  return readBytes(descriptor, 8, length, file);
}

/** Exactly `length` bytes from `position`; fs.readSync may give fewer than asked. */
function readBytes(descriptor: number, position: number, length: number, file: string): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  readInto(descriptor, position, bytes, file);
  return bytes;
}

function readInto(descriptor: number, position: number, bytes: Uint8Array, file: string): void {
  for (let done = 0; done < bytes.length;) {
    const count = fs.readSync(descriptor, bytes, done, bytes.length - done, position + done);
    if (count === 0) {
      throw new Error(`${file}: byte ${position + done}: expected data, found the end of the file`);
    }
    done += count;
  }
}

function readNumbers(descriptor: number, dataStart: number, entry: Entry, file: string): Float32Array {
  const { name, dtype } = entry;
  const convert = dtype === 'F16' ? float16ToFloat32 : dtype === 'BF16' ? bfloat16ToFloat32 : undefined;
  if (!convert && dtype !== 'F32') {
    throw fault(file, `${tensorField(name)}: dtype`, 'F32, F16 or BF16 to read it', dtype);
  }
  const numbers = new Float32Array(entry.shape.reduce((product, length) => product * length, 1));
  const halves = new Uint16Array(convert ? Math.min(pieceLength, numbers.length) : 0);
  for (let start = 0; start < numbers.length; start += pieceLength) {
    const piece = numbers.subarray(start, start + pieceLength);
    const target = convert ? halves.subarray(0, piece.length) : piece;
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    readInto(descriptor, dataStart + entry.start + start * target.BYTES_PER_ELEMENT, bytes, file);
    convert?.(halves, piece);
  }
  return numbers;
}

/**
 * Open the weights of a Hugging Face checkpoint folder: model.safetensors, or else the shards that
 * model.safetensors.index.json lists, each name checked to be in its shard. Throws where neither is there.
 */
export function openCheckpoint(folder: string): SafetensorsFile {
  const single = path.join(folder, weightsName);
  if (fs.existsSync(single)) return openSafetensors(single);
  const indexFile = path.join(folder, indexName);
  if (!fs.existsSync(indexFile)) {
    throw new Error(`${folder}: expected ${weightsName} or ${indexName}, found neither`);
  }
  const weightMap = weightMapOf(indexFile);
  const shards = new Map<string, SafetensorsFile>();
  const close = (): void => shards.forEach((shard) => shard.close());
  try {
    for (const [name, shardName] of weightMap) {
      const shard = shards.get(shardName) ?? openSafetensors(path.join(folder, shardName));
      shards.set(shardName, shard);
      shard.shapeOf(name); // throws where the shard lacks it
    }
  } catch (error) {
    close();
    throw error;
  }
  const shardOf = (name: string): SafetensorsFile => {
    const shard = shards.get(weightMap.get(name) ?? '');
    if (!shard) throw new Error(`${indexFile}: ${tensorField(name)}: expected, but it is not in weight_map`);
    return shard;
  };
  return {
    names: [...weightMap.keys()],
    metadata: new Map([...shards.values()].flatMap((shard) => [...shard.metadata])),
    shapeOf: (name) => shardOf(name).shapeOf(name),
    dtypeOf: (name) => shardOf(name).dtypeOf(name),
    read: (name) => shardOf(name).read(name),
    close,
  };
}

/** The files that an index lists, each once. Throws where it is damaged or names a file elsewhere. */
export function shardNames(indexFile: string): string[] {
  return [...new Set(weightMapOf(indexFile).values())];
}

function weightMapOf(indexFile: string): Map<string, string> {
  const found = mapOf(readJson(indexFile))?.get('weight_map');
  const weightMap = mapOf(found);
  if (!weightMap?.size) throw fault(indexFile, 'weight_map', 'an object of file names', found);
  for (const [name, shard] of weightMap) {
    if (typeof shard !== 'string' || !/^[\w-][\w.-]*\.safetensors$/.test(shard)) {
      const field = `weight_map: ${JSON.stringify(name)}`;
      throw fault(indexFile, field, 'the plain name of a .safetensors file in the same folder', shard);
    }
  }
  return weightMap as Map<string, string>;
}

/**
 * Write tensors as one safetensors file, atomically and in bounded memory. The layout is that of the Python
 * package (tensors sorted by name, header padded with spaces to 8 bytes), so that equal content gives equal
 * bytes. Throws where a length is not the product of its shape, or where a finite number is too large for
 * F16.
 */
export function writeSafetensors(
  file: string, tensors: Readonly<Record<string, Tensor>>, metadata?: Readonly<Record<string, string>>,
  dtype: 'F32' | 'F16' = 'F32',
): void {
  requireLittleEndian();
  const sorted = Object.entries(tensors)
    .sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  let at = 0;
  const entries: [string, unknown][] = metadata ? [['__metadata__', metadata]] : [];
  for (const [name, { shape, data }] of sorted) {
    const length = wholeNumbers(shape)?.reduce((product, size) => product * size, 1);
    if (name === '__metadata__' || length !== data.length) {
      throw fault(file, `${tensorField(name)}: shape`, `a product of ${data.length}`, shape);
    }
    const start = at;
    at += length * (dtype === 'F32' ? 4 : 2);
    entries.push([name, { dtype, shape, data_offsets: [start, at] }]);
  }
  writePiecesAtomic(file, filePieces(file, entries, sorted, dtype));
}

function* filePieces(
  file: string, entries: readonly [string, unknown][], tensors: readonly [string, Tensor][],
  dtype: 'F32' | 'F16',
): Generator<Uint8Array> {
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padding = (8 - header.length % 8) % 8;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length + padding));
  yield Buffer.concat([length, header, Buffer.alloc(padding, ' ')]);
  for (const [name, { data }] of tensors) {
    for (let start = 0; start < data.length; start += pieceLength) {
      const piece = data.subarray(start, start + pieceLength);
      const numbers = dtype === 'F32' ? piece : float32ToFloat16(piece, `${file}: ${tensorField(name)}`);
      yield new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    }
  }
}
