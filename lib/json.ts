/**
 * JSON with errors that say where, without the repeated names that `JSON.parse` passes over, and checked against a
 * schema.
 */
import type { z } from 'zod';

/**
 * The value of UTF-8 JSON. Throws an error with `source`, line and column where the bytes are not JSON or an
 * object has a name twice.
 */
export function parseJson(bytes: Uint8Array, source: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${source}: expected UTF-8 text, found bytes that are none`);
  }
  const fault = findJsonFault(text);
  if (fault) {
    const before = text.slice(0, fault.at).split('\n');
    const where = `line ${before.length} column ${before[before.length - 1].length + 1}`;
    throw new Error(`${source}: ${where}: expected ${fault.expected}, found ${fault.found}`);
  }
  return JSON.parse(text) as unknown;
}

/** The value as the schema gives it. Throws an error with `source`, field, expected and found. */
export function checkJson<T>(schema: z.ZodType<T>, value: unknown, source: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  const found = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null)?.[key], value);
  const text = JSON.stringify(found) as string | undefined ?? 'nothing';
  const field = path.length > 0 ? `${path.join('.')}: ` : '';
  throw new Error(`${source}: ${field}${message}; found ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`);
}

/** More nesting than any file of ours has; what prints a value may need stack for each level. */
const deepest = 2000;

const endOfText = 'the end of the text';

interface JsonFault { readonly at: number; readonly expected: string; readonly found: string }

// A JSON string, its body unrolled so that matching takes linear time, and a number or word.
const jsonString = /"[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\0-\x1f]*)*"/.source;
const jsonScalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/.source;

/** Where a text breaks the JSON grammar or repeats a name, or undefined. Iterative: depth costs no stack. */
function findJsonFault(text: string): JsonFault | undefined {
  const space = /[ \t\n\r]*/y;
  const tokens = new RegExp(`([{}[\\]:,])|(${jsonString})|${jsonScalar}`, 'y');
  const open: (Set<string> | null)[] = []; // the names so far of each open object; null for an open array
  let expected = 'a value';
  for (let at = 0; ; at = tokens.lastIndex) {
    space.lastIndex = at;
    space.exec(text);
    at = space.lastIndex;
    if (at === text.length) return expected === endOfText ? undefined : { at, expected, found: endOfText };
    tokens.lastIndex = at;
    const match = tokens.exec(text);
    const token = match?.[1] ?? (match?.[2] === undefined ? 'scalar' : 'string');
    const next = match ? jsonStep(open, expected, token, match[2]) : undefined;
    if (next === undefined) return { at, expected, found: JSON.stringify(text.slice(at, at + 20)) };
    if (open.length > deepest) return { at, expected: `at most ${deepest} levels of nesting`, found: 'more' };
    if (next === 'repeated') return { at, expected: 'each name once', found: `${match?.[2]} again` };
    expected = next;
  }
}

/** What is expected after a token, or undefined where the token itself was not expected. Changes `open`. */
function jsonStep(
  open: (Set<string> | null)[], expected: string, token: string, name: string | undefined,
): string | undefined {
  const inner = open[open.length - 1];
  const afterValue = (depth: number): string =>
    depth === 0 ? endOfText : open[depth - 1] === null ? '"," or "]"' : '"," or "}"';
  const closes = token === (inner === null ? ']' : '}') && open.length > 0 && expected.includes(`"${token}"`);
  if (closes) {
    open.pop();
    return afterValue(open.length);
  }
  if (expected.startsWith('a value')) {
    if (token === 'string' || token === 'scalar') return afterValue(open.length);
    if (token === '{') { open.push(new Set()); return 'a name or "}"'; }
    if (token === '[') { open.push(null); return 'a value or "]"'; }
    return undefined;
  }
  if (expected.startsWith('a name') && token === 'string' && inner && name !== undefined) {
    const decoded = JSON.parse(name) as string;
    if (inner.has(decoded)) return 'repeated';
    inner.add(decoded);
    return '":"';
  }
  if (expected === '":"' && token === ':') return 'a value';
  if (expected.startsWith('"," or') && token === ',') return inner === null ? 'a value' : 'a name';
  return undefined;
}
