/** The two 16-bit float formats of checkpoints, converted to and from float32. */

/** The float32 value of each of the 65 536 float16 patterns; made on first use. */
let float16Values: Float32Array | undefined;

/** float16 bit patterns (IEEE 754 binary16) to their values: the first `target.length` of `source`. Exact. */
export function float16ToFloat32(source: Uint16Array, target: Float32Array): void {
  float16Values ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits));
  const values = float16Values;
  for (let index = 0; index < target.length; index++) target[index] = values[source[index]];
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** bfloat16 bit patterns, the upper halves of float32, to their values: the first `target.length`. Exact. */
export function bfloat16ToFloat32(source: Uint16Array, target: Float32Array): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let index = 0; index < bits.length; index++) bits[index] = source[index] << 16;
}

/**
 * float32 values to float16 bit patterns, to the nearest, ties to even, as NumPy and PyTorch do it. Throws
 * where a finite value would become infinite; `source` names the numbers in that error.
 */
export function float32ToFloat16(numbers: Float32Array, source: string): Uint16Array {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const halves = new Uint16Array(numbers.length);
  for (let index = 0; index < halves.length; index++) {
    const sign = (bits[index] >>> 16) & 0x8000;
    const magnitude = bits[index] & 0x7fffffff;
    if (magnitude >= 0x477ff000 && magnitude < 0x7f800000) { // 65520 and more round to infinity
      const found = numbers[index];
      throw new Error(`${source}: number ${index}: expected less than 65520 for F16, found ${found}`);
    }
    halves[index] = sign | magnitudeToFloat16(magnitude, Math.abs(numbers[index]));
  }
  return halves;
}

function magnitudeToFloat16(bits: number, value: number): number {
  if (bits >= 0x7f800000) return bits > 0x7f800000 ? 0x7e00 : 0x7c00;
  if (bits < 0x38800000) return roundToEven(value * 2 ** 24); // below 2^-14: steps of 2^-24
  // Rebias the exponent from 127 to 15 and round away 13 bits; a carry rightly moves into the exponent.
  return (bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13;
}

function roundToEven(value: number): number {
  const whole = Math.floor(value);
  const rest = value - whole;
  return rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
}
