/** Digests inside files: they tie numbers to each other and to what they belong to. */
import { createHash } from 'node:crypto';

/** SHA-256 that ties numbers to what they belong to. */
export function digestOf(owner: unknown, arrays: readonly Float32Array[] = []): string {
  const hash = createHash('sha256').update(JSON.stringify(owner));
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}

/** Throws where the digest that a file holds is not that of its content. */
export function checkDigest(file: string, found: string | undefined, expected: string): void {
  if (found !== expected) {
    throw new Error(`${file}: sha256: the content is ${expected}, found ${found ?? 'nothing'}: damaged or changed`);
  }
}
