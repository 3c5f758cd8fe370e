/**
 * The largest eigenvalues of a symmetric matrix: Lanczos with full reorthogonalisation (Golub and Van Loan, section
 * 10.3.5), and Jacobi's rotations for the small matrix that it leaves.
 */
import { dotProduct } from './distances';
import { createRandom } from './random';

/** Eigenvalues, largest first, with unit eigenvectors. */
export interface Eigenvectors {
  readonly values: readonly number[];
  readonly vectors: readonly Float64Array[];
}

const LARGEST_RESIDUAL = 1e-10;

/**
 * The `count` largest eigenvalues of a symmetric positive semi-definite matrix and their eigenvectors, exact to 1e-10
 * of the largest value. Where values are nearly equal the choice of vectors between them is arbitrary; of exactly equal
 * ones in a large matrix only one may be found. The same matrix always gives the same vectors; their signs mean nothing.
 * @param matrix [size, size], row-major
 * Cost: some 80 to 320 products of the matrix with a vector for count 10.
 */
export function largestEigenvectors(matrix: Float64Array, size: number, count: number): Eigenvectors {
  if (!(count >= 1 && count <= size)) throw new Error(`eigenvectors: ${count} of a matrix of ${size} rows`);
  const random = createRandom(0);
  const randomVector = () => Float64Array.from({ length: size }, () => random.normal());
  const basis: Float64Array[] = [];
  const diagonal: number[] = [];
  const beside: number[] = [];
  let vector = unit(randomVector());
  for (let steps = Math.min(size, 4 * count + 40); ; steps = Math.min(size, 2 * steps)) {
    while (basis.length < steps) {
      basis.push(vector);
      const image = Float64Array.from({ length: size }, (_, i) => (
        dotProduct(matrix.subarray(i * size, (i + 1) * size), vector)));
      diagonal.push(dotProduct(vector, image));
      let next = orthogonalTo(basis, image);
      const length = lengthOf(next);
      // The space is exhausted: what is left begins anew, beside it.
      const exhausted = length <= 1e-13 * Math.max(...diagonal);
      if (exhausted) next = orthogonalTo(basis, randomVector());
      beside.push(exhausted ? 0 : length);
      vector = unit(next);
    }
    const { values, vectors } = smallEigenvectors(tridiagonal(diagonal, beside));
    const chosen = vectors.slice(0, count);
    const residual = beside[steps - 1] * Math.max(...chosen.map((weights) => Math.abs(weights[steps - 1])));
    if (steps === size || residual <= LARGEST_RESIDUAL * values[0]) {
      return { values: values.slice(0, count), vectors: chosen.map((weights) => combine(basis, weights)) };
    }
  }
}

function tridiagonal(diagonal: readonly number[], beside: readonly number[]): number[][] {
  return diagonal.map((own, i) => diagonal.map((_, j) => (
    i === j ? own : Math.abs(i - j) === 1 ? beside[Math.min(i, j)] : 0)));
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

/** What a vector has beside an orthonormal basis; subtracted twice, because once loses too much to rounding. */
function orthogonalTo(basis: readonly Float64Array[], vector: Float64Array): Float64Array {
  const rest = Float64Array.from(vector);
  for (const known of [...basis, ...basis]) {
    const part = dotProduct(known, rest);
    for (let k = 0; k < rest.length; k++) rest[k] -= part * known[k];
  }
  return rest;
}

/** The vector with length 1; where the whole space is exhausted, there is none, and none is needed. */
function unit(vector: Float64Array): Float64Array {
  const length = lengthOf(vector);
  return vector.map((x) => x / length);
}

function lengthOf(vector: Float64Array): number {
  return Math.sqrt(dotProduct(vector, vector));
}
