import assert from 'node:assert/strict';
import test from 'node:test';

import { categoriseToken, countCategories, showToken, TOKEN_CATEGORIES, type NearToken } from '../lib/review';

const words = ['cat', 'dog', 'bird', 'book', 'house', 'chair', 'table', 'pen', 'paper', 'water'];

/** Tokens of a category; the first line of each list are the paper's own examples (section 3.2.2). */
const examples: Record<(typeof TOKEN_CATEGORIES)[number], readonly string[]> = {
  inflection: [
    'water', 'waters', 'Water', 'table', 'TABLE',
    ' cats', 'Dog', ' Birds', 'housing', 'HOUSES', 'chaired', 'penned', ' PENS', 'papers', 'watery',
    'booklet', 'bookish', "dog's", 'catty', ' tabled', 'doggy', 'waterless',
  ],
  letter: [
    'β', '𝒟', 'đ', 'Ē', 'ě', 'Ɛ',
    ' ю', 'の', 'ا', 'É', 'e\u0301', 'Ã', 'ñ', 'ß',
  ],
  unreadable: [
    '?????-?????', 'ÃÂÃÂÃÂ',
    '????-????-', ' »»', '\ufffd', ' \ufffd\ufffd', '\u0000', '\u0007', '\ue000', '...', '»', ' ÃÂÃÂ',
    'ÃĤ', '¯¯¯¯', '', ' ', '\n\n', '\u00ad', '==~=~=',
  ],
  other: [
    'StreamerBot', ' teasp', 'embedreportprint', ' newcom',
    'a', ' X', 'pencil', 'cater', 'tablet', 'category', 'catalog', 'waterproof', 'paperback', '123', ',',
    ' the', '龍喚士', 'naïve', 'Привет', 'x=y', 'mice',
  ],
};

for (const category of TOKEN_CATEGORIES) {
  test(`The examples of '${category}' are recognised.`, () => {
    assert.ok(examples[category].length >= 10);
    for (const text of examples[category]) {
      assert.equal(categoriseToken(text, words), category, JSON.stringify(text));
    }
  });
}

test('Without init words nothing is an inflection, and an empty word has no forms.', () => {
  for (const text of examples.inflection) assert.equal(categoriseToken(text, []), 'other');
  assert.equal(categoriseToken('s', ['']), 'other');
  assert.equal(categoriseToken('', [' ']), 'unreadable');
});

test('Other init words follow the same spelling rules.', () => {
  const forms = [['city', 'cities'], ['run', 'running'], ['bake', 'baking'], ['box', 'boxes']];
  for (const [word, form] of forms) assert.equal(categoriseToken(form, [word]), 'inflection', form);
  for (const [word, form] of [['run', 'runing'], ['city', 'cityes'], ['.', 'xs'], ['a+', 'aas']]) {
    assert.notEqual(categoriseToken(form, [word]), 'inflection', form);
  }
});

test('Init words outside English are compared without case.', () => {
  assert.equal(categoriseToken(' ВОДА', ['вода']), 'inflection');
});

const near: NearToken[] = [
  { token: 1, text: ' cats', task: 'past', word: 'cat' },
  { token: 1, text: ' cats', task: 'past', word: 'dog' },
  { token: 2, text: 'β', task: 'past', word: 'cat' },
  { token: 3, text: '\ufffd', task: 'plural', word: 'cat' },
  { token: 4, text: '\ufffd', task: 'plural', word: 'cat' },
  { token: 1, text: ' cats', task: 'plural', word: 'cat' },
  { token: 5, text: 'StreamerBot', task: 'plural', word: 'dog' },
];

test('Different tokens are counted once in each task, each word and over all.', () => {
  // By hand. Two tokens that both decode to U+FFFD are two tokens.
  assert.deepEqual(countCategories(near, words, 'task'), [
    { group: 'past', tokens: 2, inflection: 1, letter: 1, unreadable: 0, other: 0 },
    { group: 'plural', tokens: 4, inflection: 1, letter: 0, unreadable: 2, other: 1 },
  ]);
  assert.deepEqual(countCategories(near, words, 'word'), [
    { group: 'cat', tokens: 4, inflection: 1, letter: 1, unreadable: 2, other: 0 },
    { group: 'dog', tokens: 2, inflection: 1, letter: 0, unreadable: 0, other: 1 },
  ]);
  assert.deepEqual(countCategories(near, words, 'all'), [
    { group: 'all', tokens: 5, inflection: 1, letter: 1, unreadable: 2, other: 1 },
  ]);
  assert.deepEqual(countCategories([], words, 'task'), []);
});

test('A token is shown with its spaces visible and nothing that could disturb the page around it.', () => {
  const shown = [
    [' interviewer', '␣interviewer'], ['plain', 'plain'], ['a\nb', 'a\\nb'], ['\r\t', '\\r\\t'],
    ['\u0000\u0085', '\\u{0}\\u{85}'],
    ['\u00a0', '\\u{a0}'], ['\u202eevil', '\\u{202e}evil'], ['\u200b', '\\u{200b}'], ['\u0301', '◌\u0301'],
    ['é', 'é'], ['\\n', '\\\\n'], ['\ud800', '\\u{d800}'], ['\ufffd', '\ufffd'],
    ['<b>', '<b>'], ['𝒟', '𝒟'], ['', ''],
  ];
  for (const [text, expected] of shown) assert.equal(showToken(text), expected);
});

test('Different tokens are shown differently, line breaks spelled out or real.', () => {
  const texts = [...Object.values(examples).flat(), '\\n', '\n', '\\u{0}'];
  const different = new Set(texts);
  assert.equal(new Set([...different].map(showToken)).size, different.size);
});
