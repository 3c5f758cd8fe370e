/** The largest eigenvalues of a symmetric matrix, by subspace iteration (Golub and Van Loan, section 8.2.4). */
import { dotProduct } from './distances';
import { createRandom } from './random';

/** Eigenvalues, largest first, with unit eigenvectors. */
export interface Eigenvectors {
  readonly values: readonly number[];
  readonly vectors: readonly Float64Array[];
}

/** How many vectors more than asked for are iterated: the more, the faster it converges. */
const SPARE_VECTORS = 10;
const MOST_STEPS = 300;
const LARGEST_RESIDUAL = 1e-10;

/**
 * The `count` largest eigenvalues of a symmetric positive semi-definite matrix and their eigenvectors, exact to 1e-10
 * of the largest value; less where values are nearly equal, and between such the choice of vectors is arbitrary anyway.
 * The same matrix always gives the same vectors; their signs mean nothing.
 * @param matrix [size, size], row-major
 * Cost: size² · (count + 10) multiplications a step, some 10 to 100 steps.
 */
export function largestEigenvectors(matrix: Float64Array, size: number, count: number): Eigenvectors {
  if (!(count >= 1 && count <= size)) throw new Error(`eigenvectors: ${count} of a matrix of ${size} rows`);
  const random = createRandom(0);
  const width = Math.min(size, count + SPARE_VECTORS);
  const multiply = (vector: Float64Array) => Float64Array.from({ length: size }, (_, i) => (
    dotProduct(matrix.subarray(i * size, (i + 1) * size), vector)));
  const randomVector = () => Float64Array.from({ length: size }, () => random.normal());
  let basis = orthonormal(Array.from({ length: width }, randomVector));
  for (let step = 1; ; step++) {
    const images = basis.map(multiply);
    const { values, vectors } = smallEigenvectors(basis.map((a) => images.map((b) => dotProduct(a, b))));
    const ritz = vectors.map((weights) => combine(basis, weights));
    const turned = vectors.map((weights) => combine(images, weights));
    const residual = Math.max(...values.slice(0, count).map((value, i) => (
      Math.sqrt(turned[i].reduce((sum, x, k) => sum + (x - value * ritz[i][k]) ** 2, 0)))));
    if (residual <= LARGEST_RESIDUAL * values[0] || step === MOST_STEPS) {
      return { values: values.slice(0, count), vectors: ritz.slice(0, count) };
    }
    // A little of the vector itself keeps a matrix of low rank from sending it to zero.
    basis = orthonormal(turned.map((vector, i) => vector.map((x, k) => x + 1e-9 * values[0] * ritz[i][k])));
  }
}

/** All eigenvalues of a small symmetric matrix, by Jacobi's rotations (Golub and Van Loan, section 8.5). */
function smallEigenvectors(rows: readonly (readonly number[])[]): Eigenvectors {
  const size = rows.length;
  const a = rows.map((row) => [...row]);
  // vectors[i] stands for column i of the accumulated rotations
  const vectors = rows.map((_, i) => Float64Array.from(rows, (__, k) => (i === k ? 1 : 0)));
  const scale = Math.max(...a.map((row, i) => Math.abs(row[i])));
  for (let sweep = 0; sweep < 50; sweep++) {
    let largest = 0;
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        largest = Math.max(largest, Math.abs(a[p][q]));
        if (a[p][q] !== 0) rotate(a, vectors, p, q);
      }
    }
    if (largest <= 1e-15 * scale) break;
  }
  const order = [...a.keys()].sort((p, q) => a[q][q] - a[p][p]);
  return { values: order.map((i) => a[i][i]), vectors: order.map((i) => vectors[i]) };
}

/** Turn the plane of p and q so that a[p][q] becomes 0, in place. */
function rotate(a: number[][], vectors: readonly Float64Array[], p: number, q: number): void {
  const tau = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const tangent = Math.sign(tau || 1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = tangent * cosine;
  for (const row of a) {
    [row[p], row[q]] = [cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]];
  }
  for (let k = 0; k < a.length; k++) {
    [a[p][k], a[q][k]] = [cosine * a[p][k] - sine * a[q][k], sine * a[p][k] + cosine * a[q][k]];
    const [x, y] = [vectors[p][k], vectors[q][k]];
    vectors[p][k] = cosine * x - sine * y;
    vectors[q][k] = sine * x + cosine * y;
  }
}

function combine(vectors: readonly Float64Array[], weights: Float64Array): Float64Array {
  const sum = new Float64Array(vectors[0].length);
  vectors.forEach((vector, i) => vector.forEach((x, k) => (sum[k] += weights[i] * x)));
  return sum;
}

/** Gram and Schmidt, twice, because once loses orthogonality where vectors are nearly parallel. */
function orthonormal(vectors: readonly Float64Array[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const original of vectors) {
    let vector = original;
    for (const known of [...basis, ...basis]) {
      const part = dotProduct(known, vector);
      vector = vector.map((x, k) => x - part * known[k]);
    }
    const length = Math.sqrt(dotProduct(vector, vector));
    basis.push(vector.map((x) => x / length));
  }
  return basis;
}
