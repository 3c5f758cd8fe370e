import assert from 'node:assert/strict';
import test from 'node:test';
import { largestEigenvectors } from '../lib/eigenvectors';
import { createRandom } from '../lib/random';

/** Q diag(values) Qᵀ with random orthogonal Q, made of reflections. */
function matrixOf(values: readonly number[], seed: number): Float64Array {
  const random = createRandom(seed);
  const size = values.length;
  let matrix = new Float64Array(size * size);
  values.forEach((value, k) => (matrix[k * (size + 1)] = value));
  for (let turn = 0; turn < 3; turn++) {
    const axis = Array.from({ length: size }, () => random.normal());
    const square = axis.reduce((sum, x) => sum + x * x, 0);
    const mirror = (i: number, j: number): number => (i === j ? 1 : 0) - (2 * axis[i] * axis[j]) / square;
    const times = (a: (i: number, k: number) => number, b: (k: number, j: number) => number) => (
      Float64Array.from({ length: size * size }, (_, n) => {
        let sum = 0;
        for (let k = 0; k < size; k++) sum += a(Math.floor(n / size), k) * b(k, n % size);
        return sum;
      }));
    const half = times(mirror, (i, j) => matrix[i * size + j]);
    matrix = times((i, j) => half[i * size + j], mirror);
  }
  return matrix;
}

function assertEigenvectors(matrix: Float64Array, expected: readonly number[], tolerance: number): void {
  const size = Math.sqrt(matrix.length);
  const { values, vectors } = largestEigenvectors(matrix, size, expected.length);
  values.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]) <= tolerance, `value ${i}: ${value}, expected ${expected[i]}`);
    for (let row = 0; row < size; row++) {
      const image = vectors[i].reduce((sum, x, k) => sum + matrix[row * size + k] * x, 0);
      assert.ok(Math.abs(image - value * vectors[i][row]) <= tolerance, `row ${row} of vector ${i}`);
    }
    vectors.forEach((other, j) => {
      const product = other.reduce((sum, x, k) => sum + x * vectors[i][k], 0);
      assert.ok(Math.abs(product - (i === j ? 1 : 0)) < 1e-12, `product of ${i} and ${j}: ${product}`);
    });
  });
}

test('Values are found that lie far apart, close together, and twice.', () => {
  const tail = Array.from({ length: 40 }, (_, i) => 0.5 * 0.9 ** i);
  assertEigenvectors(matrixOf([100, 7, 6.9, 6.9, 1, ...tail], 1), [100, 7, 6.9, 6.9], 1e-8);
});

test('In a large matrix they are found before the whole of it is gone through.', () => {
  const values = Array.from({ length: 150 }, (_, i) => 0.95 ** i);
  assertEigenvectors(matrixOf(values, 3), values.slice(0, 2), 1e-9);
});

test('A matrix of low rank has zeros behind its last value.', () => {
  assertEigenvectors(matrixOf([3, 2, ...new Array<number>(28).fill(0)], 2), [3, 2, 0, 0], 1e-9);
});

test('All vectors of a small matrix can be asked for, not more.', () => {
  assertEigenvectors(Float64Array.from([2, 1, 1, 2]), [3, 1], 1e-12);
  assert.throws(() => largestEigenvectors(Float64Array.from([2, 1, 1, 2]), 2, 3), /3 of a matrix of 2 rows/);
});
