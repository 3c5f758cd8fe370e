import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import { readJson } from '../lib/files';
import { openCheckpoint, openSafetensors, writeSafetensors, type Tensor } from '../lib/safetensors';

// Made by tests/reference/safetensors_files.py with the Python package safetensors.
const fixtures = path.join(__dirname, 'reference/fixtures');
const fromPython = (name: string): string => path.join(fixtures, 'safetensors', name);
interface Listed { readonly shape: number[]; readonly data: number[] }
const expected = readJson(fromPython('expected.json')) as {
  readonly tensors: Readonly<Record<string, Listed>>; readonly mixed: Readonly<Record<string, Listed>>;
};

function inTemporaryFolder(work: (folder: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-safetensors-'));
  try {
    work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function readAll(file: string): { tensors: Map<string, Tensor>; metadata: Map<string, string> } {
  const opened = openSafetensors(file);
  try {
    const tensors = new Map(opened.names.map((name) => [name, opened.read(name)]));
    return { tensors, metadata: new Map(opened.metadata) };
  } finally {
    opened.close();
  }
}

const listed = ({ shape, data }: Tensor): Listed => ({ shape: [...shape], data: [...data] });

test('A float32 file of the Python package is read with its names, shapes, numbers and metadata.', () => {
  const { tensors, metadata } = readAll(fromPython('float32.safetensors'));
  assert.deepEqual([...metadata], [['format', 'pt']]);
  assert.deepEqual([...tensors.keys()].sort(), Object.keys(expected.tensors).sort());
  for (const [name, tensor] of Object.entries(expected.tensors)) {
    assert.deepEqual(listed(tensors.get(name)!), tensor, name);
  }
});

test('Float16 and bfloat16 are read as their exact values, other dtypes are named but not read.', () => {
  const file = openSafetensors(fromPython('mixed.safetensors'));
  const dtypes = ['half', 'brain', 'full', 'mask', 'ids'].map(file.dtypeOf);
  assert.deepEqual(dtypes, ['F16', 'BF16', 'F32', 'BOOL', 'I64']);
  assert.deepEqual(file.shapeOf('ids'), [4]);
  for (const [name, tensor] of Object.entries(expected.mixed)) {
    assert.deepEqual(listed(file.read(name)), tensor, name);
  }
  assert.throws(() => file.read('ids'), /tensor "ids": dtype: expected F32, F16 or BF16 .* found "I64"/);
  assert.equal(file.metadata.get('note'), 'é');
  file.close();
});

test('A missing tensor is refused, also one named as an inherited property, and so is a closed file.', () => {
  const file = openSafetensors(fromPython('mixed.safetensors'));
  const from = fromPython('mixed.safetensors');
  for (const name of ['none', 'constructor', '__proto__', '__metadata__']) {
    const message = `${from}: tensor "${name}": expected, but it is not in the file`;
    assert.throws(() => file.read(name), { message });
    assert.throws(() => file.shapeOf(name), { message });
  }
  file.close();
  file.close(); // closing twice does no harm
  assert.throws(() => file.read('full'), /tensor "full": the file is closed/);
});

test('What is written has, byte for byte, the form that the Python package gives it.', () => {
  inTemporaryFolder((folder) => {
    const tensors = Object.fromEntries(Object.entries(expected.tensors)
      .map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]));
    const file = path.join(folder, 'new', 'copy.safetensors');
    writeSafetensors(file, tensors, { format: 'pt' });
    assert.deepEqual(fs.readFileSync(file), fs.readFileSync(fromPython('float32.safetensors')));
    writeSafetensors(file, tensors, undefined, 'F16');
    assert.deepEqual(fs.readFileSync(file), fs.readFileSync(fromPython('float16.safetensors')));
    assert.deepEqual(fs.readdirSync(path.dirname(file)), ['copy.safetensors']);
  });
});

test('Tensors longer than one piece come back unchanged, a view into a larger array too.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'long.safetensors');
    // Whole numbers below 2048 are exact in float16.
    const numbers = Float32Array.from({ length: 2500000 }, (_, index) => index % 2039 - 1000);
    for (const dtype of ['F32', 'F16'] as const) {
      writeSafetensors(file, {
        view: { shape: [1, 7], data: numbers.subarray(3, 10) }, long: { shape: [2500, 1000], data: numbers },
      }, {}, dtype);
      const { tensors } = readAll(file);
      assert.ok(Buffer.from(tensors.get('long')!.data.buffer).equals(Buffer.from(numbers.buffer)), dtype);
      assert.deepEqual(tensors.get('view')!.data, numbers.slice(3, 10));
    }
  });
});

const noSparseFiles = process.platform === 'win32';
test('A tensor that begins beyond 4 GiB is read at its place.', { skip: noSparseFiles }, () => {
  inTemporaryFolder((folder) => {
    const gap = 4 * 2 ** 30 + 12; // never written: the file is sparse
    const file = damaged(folder, { gap: entry(0, gap, [gap], 'U8'), end: entry(gap, gap + 8) }, 0);
    const descriptor = fs.openSync(file, 'r+');
    const dataStart = fs.fstatSync(descriptor).size;
    fs.writeSync(descriptor, new Uint8Array(new Float32Array([1.5, -3]).buffer), 0, 8, dataStart + gap);
    fs.closeSync(descriptor);
    const opened = openSafetensors(file);
    assert.deepEqual([...opened.read('end').data], [1.5, -3]);
    opened.close();
  });
});

test('A tensor whose length is not its shape\'s, or too large for float16, leaves the old file.', () => {
  inTemporaryFolder((folder) => {
    const file = path.join(folder, 'kept.safetensors');
    writeSafetensors(file, { a: { shape: [2], data: new Float32Array([1, 2]) } });
    const before = fs.readFileSync(file);
    const wrong = { a: { shape: [3], data: new Float32Array(2) } };
    assert.throws(() => writeSafetensors(file, wrong), /"a": shape: expected a product of 2, found \[3\]/);
    const large = { a: { shape: [2], data: new Float32Array([1, 1e6]) } };
    assert.throws(() => writeSafetensors(file, large, {}, 'F16'),
      /tensor "a": number 1: expected less than 65520 for F16, found 1000000/);
    const negative = { a: { shape: [-1, -2], data: new Float32Array(2) } };
    assert.throws(() => writeSafetensors(file, negative), /"a": shape: expected .* found \[-1,-2\]/);
    assert.throws(() => writeSafetensors(file, { __metadata__: wrong.a }), /tensor "__metadata__"/);
    assert.deepEqual(fs.readFileSync(file), before);
    assert.deepEqual(fs.readdirSync(folder), ['kept.safetensors']);
  });
});

/** A file with this header and so many bytes of data; `length` in place of the header's true length. */
function damaged(folder: string, header: unknown, dataBytes: number, length?: bigint): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  const file = path.join(folder, 'damaged.safetensors');
  fs.writeFileSync(file, Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]));
  return file;
}

const entry = (start: unknown, end: unknown, shape: unknown = [2], dtype: unknown = 'F32'): unknown =>
  ({ dtype, shape, data_offsets: [start, end] });

test('A damaged file is refused with file, field, expected and found.', () => {
  const cases: [header: unknown, dataBytes: number, message: RegExp, length?: bigint][] = [
    [{ a: entry(0, 8) }, 7, /data: expected 8 bytes as the header says, found 7/],
    [{ a: entry(0, 8) }, 9, /data: expected 8 bytes as the header says, found 9/],
    [{ a: entry(0, 8) }, 8, /header length: expected 2 to 62 bytes, found 10000000000/, 10_000_000_000n],
    [{ a: entry(0, 8) }, 8, /header length: expected 2 to 62 bytes, found 184467440737095/, 2n ** 64n - 1n],
    [{ a: entry(0, 8) }, 8, /header length: expected 2 to 62 bytes, found 0/, 0n],
    [{ a: entry(0, 8) }, 8, /header: line 1 column \d+: expected .* found the end of the text/, 30n],
    ['[1, 2]', 0, /header: expected "\{" first, found byte 91/],
    [' {}', 0, /header: expected "\{" first, found byte 32/],
    ['{"a": }', 0, /header: line 1 column 7: expected a value/],
    ['{"a\u0000": 1}', 0, /header: line 1 column 2/],
    ['{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2]}}', 8,
      /header: line 1 column 55: expected each name once, found "a" again/],
    // a hole, an overlap, the same place twice, a hole at the start
    [{ a: entry(0, 8), b: entry(9, 17) }, 17, /tensor "b": data_offsets: expected a start at 8, .* found 9/],
    [{ a: entry(0, 8), b: entry(4, 12) }, 12, /tensor "b": data_offsets: expected a start at 8, .* found 4/],
    [{ a: entry(0, 8), b: entry(0, 8) }, 8, /tensor "b": data_offsets: expected a start at 8, .* found 0/],
    [{ a: entry(4, 12) }, 12, /tensor "a": data_offsets: expected a start at 0, .* found 4/],
    [{ a: entry(8, 0) }, 8, /tensor "a": data_offsets: expected two rising whole .* found \[8,0\]/],
    [{ a: entry(-8, 0) }, 8, /tensor "a": data_offsets: expected two rising .* found \[-8,0\]/],
    [{ a: entry(0, 8.5) }, 8, /tensor "a": data_offsets: expected two rising/],
    [{ a: entry('0', '8') }, 8, /tensor "a": data_offsets: expected two rising/],
    [{ a: entry(0, 1e300) }, 8, /tensor "a": data_offsets: expected two rising/],
    [{ a: entry(0, 12) }, 12, /tensor "a": data_offsets: expected 8 bytes for F32 \[2\], found 12/],
    [{ a: entry(0, 8, [2], 'F16') }, 8, /tensor "a": data_offsets: expected 4 bytes for F16 \[2\], found 8/],
    [{ a: entry(0, 8, [2], 'FLOAT') }, 8, /tensor "a": dtype: expected one of F4, .* found "FLOAT"/],
    [{ a: entry(0, 8, [2], 'constructor') }, 8, /tensor "a": dtype: expected one of/],
    [{ a: entry(0, 8, [2], 7) }, 8, /tensor "a": dtype: expected one of .* found 7/],
    [{ a: entry(0, 8, [-1, -2]) }, 8, /tensor "a": shape: expected a list of whole .* found \[-1,-2\]/],
    [{ a: entry(0, 8, [0.5, 4]) }, 8, /tensor "a": shape: expected a list of whole numbers from 0/],
    [{ a: entry(0, 8, 2) }, 8, /tensor "a": shape: expected a list of whole numbers from 0, found 2/],
    [{ a: entry(0, 8, [2 ** 40, 2 ** 40, 0]) }, 8, /tensor "a": data_offsets: expected 0 bytes/],
    [{ a: entry(0, 8, [2 ** 50, 2 ** 50]) }, 8, /tensor "a": data_offsets: expected .* bytes for F32/],
    [{ a: { dtype: 'F32', shape: [2] } }, 8, /tensor "a": expected an object of dtype, shape and data_off/],
    [{ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], more: 1 } }, 8, /tensor "a": expected an object/],
    [{ a: null }, 0, /tensor "a": expected an object of dtype, shape and data_offsets, found null/],
    [{ __metadata__: { n: 1 }, a: entry(0, 8) }, 8, /__metadata__: expected .* found \{"n":1\}/],
    [{ __metadata__: [] }, 0, /__metadata__: expected an object of strings, found \[\]/],
    ['{"__proto__": {"dtype": "F32"}}', 0, /tensor "__proto__": expected an object of dtype/],
  ];
  inTemporaryFolder((folder) => {
    for (const [header, dataBytes, message, length] of cases) {
      const file = damaged(folder, header, dataBytes, length);
      assert.throws(() => openSafetensors(file), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(error.message.startsWith(`${file}: `), error.message);
        return true;
      }, JSON.stringify(header));
    }
  });
});

test('A file cut anywhere, or with any byte of its header changed, is refused or read without harm.', () => {
  inTemporaryFolder((folder) => {
    const whole = fs.readFileSync(fromPython('float32.safetensors'));
    const file = path.join(folder, 'cut.safetensors');
    for (let length = 0; length < whole.length; length += 3) {
      fs.writeFileSync(file, whole.subarray(0, length));
      const named = (error: Error): boolean => error.message.startsWith(`${file}: `);
      assert.throws(() => openSafetensors(file), named, String(length));
    }
    const headerEnd = 8 + Number(whole.readBigUInt64LE(0));
    let refused = 0;
    for (let at = 0; at < headerEnd; at++) {
      const changed = Buffer.from(whole);
      changed[at] ^= 0x11;
      fs.writeFileSync(file, changed);
      try {
        readAll(file);
      } catch (error) {
        assert.ok((error as Error).message.startsWith(`${file}: `), (error as Error).message);
        refused++;
      }
    }
    // Not all: a changed letter of a name is no damage.
    assert.ok(refused > headerEnd / 2, `${refused} of ${headerEnd}`);
  });
});

test('Names such as __proto__ change no object\'s prototype and are read like others.', () => {
  const { tensors } = readAll(fromPython('float32.safetensors'));
  assert.deepEqual([...tensors.get('__proto__')!.data], [1, -2]);
  assert.equal(({} as { data?: unknown }).data, undefined);
});

test('A sharded checkpoint reads as one file and equals its shards.', () => {
  const folder = path.join(fixtures, 'gpt2-many-heads');
  const checkpoint = openCheckpoint(folder);
  const shards = fs.readdirSync(folder).filter((name) => name.startsWith('model-'));
  assert.equal(shards.length, 3);
  const parts = shards.map((name) => readAll(path.join(folder, name)).tensors);
  assert.equal(checkpoint.names.length, parts.reduce((sum, part) => sum + part.size, 0));
  for (const part of parts) {
    for (const [name, tensor] of part) {
      assert.deepEqual(checkpoint.read(name), tensor);
      assert.deepEqual(checkpoint.shapeOf(name), tensor.shape);
      assert.equal(checkpoint.dtypeOf(name), 'F16');
    }
  }
  assert.throws(() => checkpoint.read('none'), /json: tensor "none": expected, but it is not in weight_map/);
  checkpoint.close();
});

test('A checkpoint of one file needs no index, and one without either is refused.', () => {
  const checkpoint = openCheckpoint(path.join(fixtures, 'gpt2-one-head'));
  assert.ok(checkpoint.names.includes('transformer.wte.weight'));
  checkpoint.close();
  inTemporaryFolder((folder) => {
    const message = `${folder}: expected model.safetensors or model.safetensors.index.json, found neither`;
    assert.throws(() => openCheckpoint(folder), { message });
  });
});

test('An index that names files elsewhere, or tensors that are not there, is refused.', () => {
  inTemporaryFolder((folder) => {
    writeSafetensors(path.join(folder, 'part.safetensors'), { a: { shape: [1], data: new Float32Array(1) } });
    const refuse = (index: unknown, message: RegExp): void => {
      fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
      assert.throws(() => openCheckpoint(folder), message);
    };
    for (const shard of ['../part.safetensors', '/etc/passwd', 'sub/part.safetensors', '..\\part.safetensors',
      '..', '.safetensors', 'part.bin', 'part.safetensors\u0000', '', 7, null]) {
      refuse({ weight_map: { a: shard } }, /json: weight_map: "a": expected the plain name of a/);
    }
    refuse({ weight_map: { a: 'part.safetensors', b: 'part.safetensors' } }, /tensor "b": expected/);
    refuse({ weight_map: { a: 'other.safetensors' } }, /ENOENT.*other\.safetensors/);
    refuse({ weight_map: {} }, /index\.json: weight_map: expected an object of file names, found \{\}/);
    refuse({ weight_map: ['part.safetensors'] }, /weight_map: expected an object of file names/);
    refuse([], /weight_map: expected an object of file names, found nothing/);
  });
});
