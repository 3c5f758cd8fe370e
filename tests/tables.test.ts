import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import {
  escapeHtml,
  escapeLatex,
  escapeMarkdown,
  formatNumber,
  frame,
  fromCsv,
  frameRows,
  toCsv,
  toHtml,
  toLatex,
  toMarkdown,
  toText,
} from '../lib/tables';

const tokens = [
  '<script>alert("x")</script>',
  ' water',
  'a,b',
  'say "hi"',
  'two\nlines',
  'Ж_%&#$',
  '|`*',
  '',
];
const table = frame({
  token: tokens,
  distance: tokens.map((_, i) => i / 8),
  count: tokens.map((_, i) => i * 100),
});

test('a frame keeps the columns, their order and every cell', () => {
  assert.deepEqual(table.columns, ['token', 'distance', 'count']);
  assert.deepEqual(
    frameRows(table).map((row) => row[0]),
    tokens,
  );
  assert.deepEqual(frameRows(table)[3], ['say "hi"', 0.375, 300]);
});

test('a frame is a danfojs data frame, which can group and average', () => {
  const grouped = frame({ word: ['cat', 'dog', 'cat'], distance: [1, 5, 3] })
    .groupby(['word'])
    .mean();
  assert.deepEqual(grouped.values, [
    ['cat', 2],
    ['dog', 5],
  ]);
});

test('columns of different length are refused by name', () => {
  assert.throws(
    () => frame({ word: ['cat'], distance: [1, 2] }),
    /column 'distance' has 2 rows, expected 1 as in 'word'/,
  );
});

test('a frame without rows still has its headings in every format', () => {
  const empty = frame({ word: [], distance: [] });
  assert.equal(toCsv(empty), 'word,distance\r\n');
  for (const text of [toHtml(empty), toLatex(empty), toMarkdown(empty), toText(empty)])
    assert.match(text, /word.*distance/);
});

test('tokens that look like numbers stay as they are', () => {
  assert.deepEqual(frameRows(frame({ token: ['007', '1e3', 'NaN', 'true'] })), [
    ['007'],
    ['1e3'],
    ['NaN'],
    ['true'],
  ]);
});

test('numbers are rounded by column, whole numbers get no digits, and tiny ones keep their size', () => {
  assert.equal(formatNumber(0.5460339, 3), '0.546');
  assert.equal(formatNumber(4.376e-102, 3), '4.4e-102');
  assert.equal(formatNumber(0, 3), '0.000');
  assert.equal(formatNumber(NaN, 3), 'NaN');
  const mixed = frame({ whole: [1, 20], share: [0.25, 1], p: [4.376e-102, 0.5] });
  assert.equal(
    toMarkdown(mixed, { digits: { share: 1 } }),
    '| whole | share | p |\n| ---: | ---: | ---: |\n| 1 | 0.3 | 4.4e-102 |\n| 20 | 1.0 | 0.500 |\n',
  );
});

test('HTML carries no tag that came from a token, and aligns numbers to the right', () => {
  const html = toHtml(table, { caption: 'a < b' });
  assert.doesNotMatch(html, /<script/);
  assert.match(html, /&lt;script&gt;alert\(&quot;x&quot;\)&lt;\/script&gt;/);
  assert.match(html, /<caption[^>]*>a &lt; b<\/caption>/);
  assert.match(html, /<td style="text-align:right;white-space:pre-wrap">0\.875<\/td>/);
  assert.match(html, /<td style="text-align:left;white-space:pre-wrap"> water<\/td>/);
  assert.equal(escapeHtml(`&<>"'`), '&amp;&lt;&gt;&quot;&#39;');
});

test('CSV is read back unchanged by another CSV reader', () => {
  // papaparse comes with danfojs and shares no code with lib/tables.
  const papa = createRequire(__filename)('papaparse') as {
    parse(text: string): { data: string[][]; errors: unknown[] };
  };
  const { data, errors } = papa.parse(toCsv(table).replace(/\r\n$/, ''));
  assert.deepEqual(errors, []);
  assert.deepEqual(data, [
    ['token', 'distance', 'count'],
    ...tokens.map((token, i) => [token, String(i / 8), String(i * 100)]),
  ]);
});

test('CSV quotes as RFC 4180 says and keeps numbers in full', () => {
  assert.equal(
    toCsv(frame({ token: ['a"b,c'], distance: [0.123456789] })),
    'token,distance\r\n"a""b,c",0.123456789\r\n',
  );
  assert.equal(toCsv(frame({ distance: [0.123456789] }), { digits: 2 }), 'distance\r\n0.12\r\n');
});

test('CSV reads back as it was written, with quotes, commas, line ends and empty fields', () => {
  const data = frame({ 'a,"b"': ['x\r\ny', 'plain', ''], c: [1.5, null, -2] });
  assert.deepEqual(fromCsv(toCsv(data)), [['a,"b"', 'c'], ['x\r\ny', '1.5'], ['plain', ''], ['', '-2']]);
  assert.deepEqual(fromCsv('a,b\n1,'), [['a', 'b'], ['1', '']]);
  assert.deepEqual(fromCsv(''), []);
});

test('a missing value is an empty CSV field and a dash in print', () => {
  const missing = frame({ distance: [0.5, null] });
  assert.equal(toCsv(missing), 'distance\r\n0.5\r\n\r\n');
  assert.match(toText(missing), /^ *–$/m);
});

test('LaTeX escapes each of its special characters', () => {
  // Expected forms: The Not So Short Introduction to LaTeX, section "Special characters".
  assert.equal(escapeLatex('_%&#${}'), '\\_\\%\\&\\#\\$\\{\\}');
  assert.equal(escapeLatex('~^\\'), '\\textasciitilde{}\\textasciicircum{}\\textbackslash{}');
  assert.equal(escapeLatex('<|>"'), '\\textless{}\\textbar{}\\textgreater{}\\char34{}');
});

test('LaTeX joins no two characters of a token into one sign', () => {
  assert.equal(escapeLatex("---''?`"), "-{}-{}-'{}'?\\textasciigrave{}");
});

test('LaTeX gets accents as commands, Greek as mathematics and other letters by code point', () => {
  assert.equal(escapeLatex('éčÜ'), '\\\'{e}\\v{c}\\"{U}');
  assert.equal(escapeLatex('ε→'), '$\\varepsilon$$\\rightarrow$');
  assert.equal(escapeLatex('Ж𝔸'), '\\texttt{U+0416}\\texttt{U+1D538}');
  assert.equal(escapeLatex('Ж', 'keep'), 'Ж');
  assert.equal(escapeLatex('\u0000'), '\\texttt{U+0000}');
  assert.match(escapeLatex(String.fromCodePoint(0xfffd)), /^\\texttt\{U\+FFFD\}$/);
});

test('every token up to U+2FFF becomes printable ASCII with balanced braces and dollars', () => {
  for (let code = 0; code < 0x3000; code += 1) {
    const latex = escapeLatex(String.fromCodePoint(code));
    assert.match(latex, /^[ -~]*$/, `U+${code.toString(16)}`);
    const bare = latex.replace(/\\[{}$]/g, '');
    assert.equal(bare.split('{').length, bare.split('}').length, `braces of U+${code.toString(16)}`);
    assert.equal((bare.split('$').length - 1) % 2, 0, `dollars of U+${code.toString(16)}`);
  }
});

test('a LaTeX table is a booktabs table with one line a row', () => {
  const latex = toLatex(frame({ my_word: ['a&b'], distance: [-0.5], p: [4.376e-102] }), {
    caption: '50 %',
    label: 'tab:x',
  });
  assert.equal(
    latex,
    [
      '\\begin{table}[htbp]',
      '  \\centering',
      '  \\caption{50 \\%}',
      '  \\label{tab:x}',
      '  \\begin{tabular}{lrr}',
      '    \\toprule',
      '    my\\_word & distance & p \\\\',
      '    \\midrule',
      '    a\\&b & $-0.500$ & $4.4 \\times 10^{-102}$ \\\\',
      '    \\bottomrule',
      '  \\end{tabular}',
      '\\end{table}',
      '',
    ].join('\n'),
  );
});

test('Markdown keeps a row on one line and shows markup as text', () => {
  assert.equal(escapeMarkdown('a|b\n<i>*x*'), 'a\\|b<br>&lt;i&gt;\\*x\\*');
  const lines = toMarkdown(table).trimEnd().split('\n');
  assert.equal(lines.length, tokens.length + 2);
  assert.equal(lines[1], '| :--- | ---: | ---: |');
  for (const line of lines) assert.equal(line.replace(/\\\|/g, '').split('|').length, 5, line);
});

test('plain text lines up its columns', () => {
  assert.equal(
    toText(frame({ word: ['cat', 'chair'], distance: [0.5, 10.25] }), { caption: 'Distances', digits: 2 }),
    'Distances\nword   distance\n─────  ────────\ncat        0.50\nchair     10.25',
  );
});

test('headings replace column names in print but not in CSV', () => {
  const data = frame({ same_word: [1] });
  assert.match(toMarkdown(data, { headings: { same_word: 'Same word' } }), /^\| Same word \|/);
  assert.match(toCsv(data), /^same_word/);
});
