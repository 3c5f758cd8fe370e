import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { startBackend } from '../lib/backend';
import { evaluate, judge } from '../lib/evaluation';
import { disposeGpt2, loadGpt2 } from '../lib/gpt2';
import type { Example } from '../lib/tasks';
import { decode, encode, endOfText } from '../lib/tokenizer';
import { FIXTURE_NAMES, promptTensor, readFixture, relativeError, withoutLeak, type Fixture } from './gpt2-fixtures';

before(async () => {
  await startBackend({ threads: 1 });
});

const options = { batchSize: 8, newTokens: 5 };

/** Evaluate runs with these prompts, factors on the fixture's own; 1 is the fixture's. */
function evaluateFixture(fixture: Fixture, examples: readonly Example[], factors: readonly number[] = [1]) {
  const model = loadGpt2(fixture.folder);
  const { shape, data } = fixture.tensors.prompts;
  const prompts = promptTensor(factors.map((factor) => ({ shape, data: data.map((x) => factor * x) })));
  try {
    return withoutLeak(() => evaluate(model, prompts, examples, options));
  } finally {
    prompts.dispose();
    disposeGpt2(model);
  }
}

function examplesOf(fixture: Fixture): Example[] {
  return fixture.expected.evaluation.examples.map(({ textTokens, labelTokens }) => (
    { input: '', output: decode(labelTokens), textTokens, labelTokens }));
}

test('Test loss is the mean of batch means that PEFT gives, and accuracy what its continuations give.', () => {
  for (const name of FIXTURE_NAMES) {
    const fixture = readFixture(name);
    const { evaluation } = fixture.expected;
    assert.equal(evaluation.batchSize, options.batchSize);
    const [{ loss, accuracy }] = evaluateFixture(fixture, examplesOf(fixture));
    assert.ok(Math.abs(loss / evaluation.loss - 1) <= 1e-5, `${name}: ${loss} ${evaluation.loss}`);
    // Only this model's labels are texts; those of the others hold bytes that are no characters.
    if (name === 'one-head') assert.equal(accuracy, evaluation.accuracy);
  }
});

test('Runs that are evaluated together have the loss and accuracy of each alone, in passes of any size.', () => {
  const fixture = readFixture('odd-heads');
  const examples = examplesOf(fixture);
  const factors = Array.from({ length: 30 }, (_, run) => 1 - run / 15);
  const together = evaluateFixture(fixture, examples, factors);
  for (const run of [0, 7, 29]) {
    const [alone] = evaluateFixture(fixture, examples, [factors[run]]);
    assert.ok(relativeError([together[run].loss], [alone.loss]) <= 1e-5);
    assert.equal(together[run].accuracy, alone.accuracy);
  }
  assert.notEqual(together[0].loss, together[29].loss);
});

test('An answer counts by its text, whatever tokens it and the label are made of.', () => {
  const fixture = readFixture('one-head');
  const all = fixture.expected.greedy.filter(({ continuation }) => continuation.every((id) => id < 94));
  assert.ok(all.length >= 20);
  // Tokens 0 … 93 are single printable characters, so PEFT's continuation is known as text, too.
  const examples = all.map(({ textTokens, continuation }, i): Example => {
    const said = decode(continuation);
    const kinds = [said, said.slice(0, 3), `${said.slice(0, 4)}é`, `${said}!`, 'é'];
    return { input: '', output: kinds[i % kinds.length], textTokens, labelTokens: [continuation[0], 95, 96] };
  });
  const right = examples.filter((_, i) => i % 5 < 2).length;
  assert.equal(evaluateFixture(fixture, examples)[0].accuracy, right / examples.length);
  const [same, other] = evaluateFixture(fixture, examples, [1, -3]);
  assert.equal(same.accuracy, right / examples.length);
  assert.ok(other.accuracy < same.accuracy);
});

function verdict(output: string, generated: readonly number[], newTokens = 5) {
  return judge({ input: '', output, textTokens: [], labelTokens: [] }, generated, newTokens);
}

const paris = encode('Paris');

test('An answer that begins with the label is right, with white space before it or more text after it.', () => {
  assert.equal(paris.length, 1);
  assert.equal(verdict('Paris', paris), 'right');
  assert.equal(verdict('Paris', encode(' Paris')), 'right');
  assert.equal(verdict('Paris', encode('\n Paris')), 'right');
  assert.equal(verdict('Paris', encode('Parisian')), 'right');
  assert.equal(verdict('Paris', [...paris, ...encode('\nInput')]), 'right');
});

test('An answer in other tokens than the label\'s is open until it is whole.', () => {
  const [par, is] = [encode('Par'), encode('is')];
  assert.notDeepEqual([...par, ...is], paris);
  assert.deepEqual(verdict('Paris', par), par);
  assert.equal(verdict('Paris', [...par, ...is]), 'right');
  assert.equal(verdict('Paris', [...par, ...encode('ade')]), 'wrong');
  assert.deepEqual(verdict('Paris', encode('\n')), encode('\n'));
  assert.deepEqual(verdict('New York', encode('New ')), encode('New '));
  assert.deepEqual(verdict('Paris', []), []);
});

test('Another answer is wrong at its first other character, in another case too.', () => {
  assert.equal(verdict('Paris', encode('London')), 'wrong');
  assert.equal(verdict('Paris', encode('paris')), 'wrong');
  assert.equal(verdict('Paris', encode('Pas')), 'wrong');
});

test('A character that is split over tokens is open until its last byte.', () => {
  const ids = encode('☘');
  assert.ok(ids.length > 1, 'the character must be several tokens');
  assert.deepEqual(verdict('☘', ids.slice(0, 1)), ids.slice(0, 1));
  assert.equal(verdict('☘', ids), 'right');
  assert.equal(verdict('☘', [ids[0], ...paris]), 'wrong');
  assert.equal(verdict('Paris', [...ids, ...paris]), 'wrong');
  assert.deepEqual(verdict('a☘', [...encode('a'), ids[0]]), [...encode('a'), ids[0]]);
});

test('Nothing after the end of the text counts, and nothing before it that is not the label.', () => {
  assert.equal(verdict('Paris', [endOfText]), 'wrong');
  assert.equal(verdict('Paris', [endOfText, ...paris]), 'wrong');
  assert.equal(verdict('Paris', [...encode('Par'), endOfText, ...encode('is')]), 'wrong');
  assert.equal(verdict('Paris', [...paris, endOfText]), 'right');
});

test('Only the first newTokens tokens count.', () => {
  const long = encode('The United Kingdom of Great Britain');
  assert.ok(long.length > 5);
  assert.equal(verdict('The United Kingdom of Great Britain', long), 'wrong');
  assert.equal(verdict('The United Kingdom of Great Britain', long, long.length), 'right');
  assert.deepEqual(verdict('The United Kingdom of Great Britain', long.slice(0, 4)), long.slice(0, 4));
  assert.equal(verdict('The United Kingdom of Great Britain', long.slice(0, 5)), 'wrong');
});
