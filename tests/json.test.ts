import assert from 'node:assert/strict';
import test from 'node:test';

import { parseJson } from '../lib/json';

const parse = (text: string): unknown => parseJson(Buffer.from(text), 'x.json');

test('Valid JSON gives what JSON.parse gives.', () => {
  const texts = [
    'null', ' true ', '0', '-0.5e+3', '""', '"\\u00e9\\n\\"\\\\\\/"', '[]', '{}', '[[],[{}]]',
    '{"a":{"a":1},"b":[{"a":2},{"a":3}]}', '\n[1,\t2 , 3]\r\n', '{"__proto__": 1, "constructor": 2}',
    '"é 😀 \u2028"', '[1.5, -2, 1e5, true, false, null, "x"]',
  ];
  for (const text of texts) assert.deepEqual(parse(text), JSON.parse(text), text);
});

test('What JSON.parse refuses is refused, with line and column.', () => {
  const texts: [text: string, where: RegExp][] = [
    ['', /^Error: x\.json: line 1 column 1: expected a value, found the end of the text$/],
    ['{"a": 1', /^Error: x\.json: line 1 column 8: expected "," or "}", found the end of the text$/],
    ['[1, 2,]', /^Error: x\.json: line 1 column 7: expected a value, found "]"$/],
    ['{"a": 1,}', /^Error: x\.json: line 1 column 9: expected a name, found "}"$/],
    ['{"a" 1}', /^Error: x\.json: line 1 column 6: expected ":", found "1}"$/],
    ['{"a": 1}\n\n x', /^Error: x\.json: line 3 column 2: expected the end of the text, found "x"$/],
    ['{"a": NaN}', /column 7: expected a value, found "NaN}"$/],
    ['[01]', /column 3: expected "," or "]", found "1]"$/],
    ['[1}', /column 3: expected "," or "]", found "}"$/],
    ['{"a": 1]', /column 8: expected "," or "}", found "]"$/],
    ['{1: 2}', /column 2: expected a name or "}", found "1: 2}"$/],
    ['[,]', /column 2: expected a value or "]"/],
    ['}', /column 1: expected a value/],
    ['"a\nb"', /column 1: expected a value/],
    ['"\\x"', /column 1: expected a value/],
    ['"open', /column 1: expected a value/],
    ['tru', /column 1: expected a value/],
    ['.5', /column 1: expected a value/],
    ['1 2', /column 3: expected the end of the text/],
    ['{"a":1 "b":2}', /column 8: expected "," or "}"/],
    ["{'a': 1}", /column 2: expected a name or "}"/],
  ];
  for (const [text, where] of texts) {
    assert.throws(() => JSON.parse(text), SyntaxError, text);
    assert.throws(() => parse(text), where, text);
  }
});

test('Damaged JSON is refused wherever JSON.parse refuses it, and only there.', () => {
  const text = '{"a": [1, -2.5e3, "x\\u0041"], "b": {"c": null, "d": true}}';
  for (let at = 0; at < text.length; at++) {
    for (const inserted of ['', '"', '{', ']', ',', ':', '0', 'x', '\\', ' ']) {
      const damaged = text.slice(0, at) + inserted + text.slice(at + 1);
      let expected: unknown;
      try {
        expected = JSON.parse(damaged);
      } catch {
        assert.throws(() => parse(damaged), /^Error: x\.json: line 1 column \d+: expected /, damaged);
        continue;
      }
      assert.deepEqual(parse(damaged), expected, damaged);
    }
  }
});

test('A name that an object has twice is refused, however it is spelt.', () => {
  const message = 'x.json: line 2 column 2: expected each name once, found "a" again';
  assert.throws(() => parse('{"a": 1,\n "a": 2}'), { message });
  assert.throws(() => parse('[{"b": {"a": 1, "\\u0061": 2}}]'), /found "\\u0061" again/);
  assert.throws(() => parse('{"__proto__": 1, "__proto__": 2}'), /expected each name once/);
});

test('Deep nesting and long texts cost neither stack nor quadratic time.', () => {
  const deep = '['.repeat(1000) + ']'.repeat(1000);
  assert.equal(JSON.stringify(parse(deep)), deep);
  assert.throws(() => parse('['.repeat(1e6)), /column 2001: expected at most 2000 levels of nesting, found more/);
  assert.throws(() => parse('{"a":'.repeat(2001)), /column 10001: expected at most 2000 levels/);
  const list = Array.from({ length: 50000 }, (_, index) => index);
  const long = JSON.stringify({ text: 'é\\"\n'.repeat(500000), list });
  assert.deepEqual(parse(long), JSON.parse(long));
  assert.throws(() => parse(long.slice(0, 2000000)), /expected a value, found/);
});

test('Bytes that are no UTF-8 are refused; a byte-order mark is passed over.', () => {
  assert.throws(() => parseJson(new Uint8Array([0x22, 0xff, 0x22]), 'x.json'), {
    message: 'x.json: expected UTF-8 text, found bytes that are none',
  });
  assert.deepEqual(parse('\ufeff[1]'), [1]);
});
