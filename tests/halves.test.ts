import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import { readJson } from '../lib/files';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '../lib/halves';

// Made by tests/reference/safetensors_files.py with NumPy's float16; exact, so compared by hash.
const folder = path.join(__dirname, 'reference/fixtures/safetensors');
const expected = readJson(path.join(folder, 'expected.json')) as {
  readonly float16ValuesSha256: string; readonly float16PatternsSha256: string;
};
const sha256 = (bytes: ArrayBufferLike): string =>
  createHash('sha256').update(Buffer.from(bytes)).digest('hex');
const everyPattern = Uint16Array.from({ length: 65536 }, (_, pattern) => pattern);

test('All 65 536 float16 patterns have NumPy\'s values.', () => {
  const values = new Float32Array(65536);
  float16ToFloat32(everyPattern, values);
  const numbers = values.map((value) => Number.isNaN(value) ? 0 : value);
  assert.equal(sha256(numbers.buffer), expected.float16ValuesSha256);
  assert.equal(values.filter(Number.isNaN).length, 2 * 1023);
});

test('Rounding to float16 is NumPy\'s: to the nearest, ties to even, zeros with their sign.', () => {
  const bytes = fs.readFileSync(path.join(folder, 'rounding.float32'));
  const numbers = new Float32Array(bytes.length / 4);
  Buffer.from(numbers.buffer).set(bytes);
  assert.ok(numbers.length > 3000);
  assert.equal(sha256(float32ToFloat16(numbers, 'x').buffer), expected.float16PatternsSha256);
});

test('Every float16 value that is a number comes back as its own pattern.', () => {
  const values = new Float32Array(65536);
  float16ToFloat32(everyPattern, values);
  const back = float32ToFloat16(values, 'x');
  everyPattern.forEach((pattern) => {
    if (Number.isNaN(values[pattern])) assert.equal(back[pattern] & 0x7fff, 0x7e00);
    else assert.equal(back[pattern], pattern);
  });
});

test('A finite number that would become infinite is refused, the largest that rounds down is not.', () => {
  assert.deepEqual([...float32ToFloat16(new Float32Array([65519.99, -Infinity]), 'x')], [0x7bff, 0xfc00]);
  const message = 'x: number 1: expected less than 65520 for F16, found -65520';
  assert.throws(() => float32ToFloat16(new Float32Array([0, -65520]), 'x'), { message });
});

test('A bfloat16 pattern is the upper half of its float32.', () => {
  // 1, −2, π to 8 bits (3.140625), infinity, the least subnormal: by the definition of the format.
  const values = new Float32Array(5);
  bfloat16ToFloat32(new Uint16Array([0x3f80, 0xc000, 0x4049, 0x7f80, 0x0001]), values);
  assert.deepEqual([...values], [1, -2, 3.140625, Infinity, 2 ** -133]);
});
