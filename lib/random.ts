/**
 * Seeded random numbers: NumPy's `default_rng` (SeedSequence and PCG64) so that splits and shuffles can be
 * checked against Python number for number. O'Neill 2014, https://www.pcg-random.org;
 * numpy/random/bit_generator.pyx.
 */

/**
 * A stream of random numbers. Everything but `normal` and `choice` gives NumPy's numbers for the same seed.
 */
export interface Random {
  /** 0 … count − 1 in random order, as `Generator.permutation(count)`. */
  permutation(count: number): number[];
  /** A whole number 0 … high − 1, as `Generator.integers(high)`. */
  integers(high: number): number;
  /** A number in [0, 1), as `Generator.random()`. */
  uniform(): number;
  /**
   * Mean 0, variance 1, by Box and Muller from two uniforms; not NumPy's ziggurat, so not NumPy's numbers.
   */
  normal(): number;
  /** `size` different numbers of 0 … count − 1: the first of `permutation(count)`; not `Generator.choice`. */
  choice(count: number, size: number): number[];
}

interface Stream { state: bigint; readonly increment: bigint; hasHalf: boolean; half: number }

const mask64 = (1n << 64n) - 1n;
const mask128 = (1n << 128n) - 1n;
const multiplier = (2549297995355413924n << 64n) | 4865540595714422341n;

/**
 * The stream of `numpy.random.default_rng(seed)`: the same for ever, on every machine. A seed is a whole
 * number 0 … 2^53 − 1 or a list of them; as in NumPy, zeros at the end of a short list change nothing. Throws
 * otherwise.
 */
export function createRandom(seed: number | readonly number[]): Random {
  const words = typeof seed === 'number' ? entropyWords(seed) : seed.flatMap(entropyWords);
  const [stateHigh, stateLow, sequenceHigh, sequenceLow] = seedStates(words);
  const increment = ((((sequenceHigh << 64n) | sequenceLow) << 1n) | 1n) & mask128;
  const stream: Stream = { state: 0n, increment, hasHalf: false, half: 0 };
  step(stream);
  stream.state = (stream.state + ((stateHigh << 64n) | stateLow)) & mask128;
  step(stream);
  return randomOf(stream);
}

function randomOf(stream: Stream): Random {
  const uniform = (): number => Number(next64(stream) >> 11n) / 2 ** 53;
  const permutation = (count: number): number[] => {
    checkCount('permutation', 'count', count, 0, 2 ** 32);
    const order = Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const other = maskedInteger(stream, last);
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  };
  return {
    permutation,
    uniform,
    integers(high) {
      checkCount('integers', 'high', high, 1, Number.MAX_SAFE_INTEGER);
      return boundedInteger(stream, high);
    },
    normal() {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform())); // 1 − u is never 0
      return radius * Math.cos(2 * Math.PI * uniform());
    },
    choice(count, size) {
      checkCount('choice', 'size', size, 0, count);
      return permutation(count).slice(0, size);
    },
  };
}

function checkCount(name: string, field: string, value: number, low: number, high: number): void {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new Error(`${name}: ${field}: expected a whole number from ${low} to ${high}, found ${value}`);
  }
}

function step(stream: Stream): void {
  stream.state = (stream.state * multiplier + stream.increment) & mask128;
}

/** The next 64 bits: one step of the generator and its XSL-RR output. */
function next64(stream: Stream): bigint {
  step(stream);
  const folded = (stream.state >> 64n) ^ (stream.state & mask64);
  const turn = stream.state >> 122n;
  return ((folded >> turn) | (folded << (64n - turn))) & mask64;
}

/** The next 32 bits: the low half of 64, then, kept as NumPy keeps it, the high half. */
function next32(stream: Stream): number {
  if (stream.hasHalf) {
    stream.hasHalf = false;
    return stream.half;
  }
  const bits = next64(stream);
  stream.hasHalf = true;
  stream.half = Number(bits >> 32n);
  return Number(bits & 0xffffffffn);
}

/** 0 … last by masking and rejection: NumPy's `random_interval`, which its shuffle uses. last < 2^32. */
function maskedInteger(stream: Stream, last: number): number {
  const mask = 0xffffffff >>> Math.clz32(last);
  for (;;) {
    const value = (next32(stream) & mask) >>> 0;
    if (value <= last) return value;
  }
}

/**
 * 0 … high − 1 by Lemire's multiplication (2019, arXiv 1805.10941), in 32 bits where high ≤ 2^32, else in 64.
 */
function boundedInteger(stream: Stream, high: number): number {
  if (high === 1) return 0;
  if (high === 2 ** 32) return next32(stream);
  const bits = high < 2 ** 32 ? 32n : 64n;
  const draw = (): bigint => bits === 32n ? BigInt(next32(stream)) : next64(stream);
  const range = BigInt(high);
  const mask = (1n << bits) - 1n;
  const threshold = ((1n << bits) - range) % range;
  let product = draw() * range;
  while ((product & mask) < threshold) product = draw() * range;
  return Number(product >> bits);
}

/** The 32-bit words of a number, lowest first, as SeedSequence splits it. */
function entropyWords(value: number): number[] {
  checkCount('random seed', 'seed', value, 0, Number.MAX_SAFE_INTEGER);
  const high = Math.floor(value / 2 ** 32);
  return high === 0 ? [value >>> 0] : [value >>> 0, high];
}

/** SeedSequence(entropy).generate_state(4, uint64). */
function seedStates(entropy: readonly number[]): bigint[] {
  let hash = 0x43b0d7e5;
  const hashed = (word: number): number => {
    const mixed = Math.imul(word ^ hash, hash = Math.imul(hash, 0x931e8875));
    return mixed ^ (mixed >>> 16);
  };
  const mix = (left: number, right: number): number => {
    const mixed = Math.imul(0xca01f9dd, left) - Math.imul(0x4973f715, right);
    return mixed ^ ((mixed | 0) >>> 16);
  };
  const pool = [0, 1, 2, 3].map((index) => hashed(entropy[index] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hashed(pool[from]));
  }
  for (const word of entropy.slice(4)) {
    for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hashed(word));
  }
  return outputWords(pool);
}

function outputWords(pool: readonly number[]): bigint[] {
  let hash = 0x8b51f9dd;
  const words = Array.from({ length: 8 }, (_, index) => {
    const mixed = Math.imul(pool[index % 4] ^ hash, hash = Math.imul(hash, 0x58f38ded));
    return BigInt((mixed ^ (mixed >>> 16)) >>> 0);
  });
  return [0, 2, 4, 6].map((index) => words[index] | (words[index + 1] << 32n));
}
