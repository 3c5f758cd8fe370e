import assert from 'node:assert/strict';
import { test } from 'node:test';

import { configure, parameter } from '../lib/experiment';
import { SETTING_NAMES } from '../lib/settings';
import { checkVariables, VARIABLES } from '../lib/variables';

test('A misspelt variable is refused with the one it is nearest to, wherever settings are read.', () => {
  const cases = [
    ['SOFT_PROMPTS_EPOCH', 'SOFT_PROMPTS_EPOCHS'],
    ['SOFT_PROMPTS_LEARNINGRATE', 'SOFT_PROMPTS_LEARNING_RATE'],
    ['SOFT_PROMPTS_WORD', 'SOFT_PROMPTS_WORDS'],
    ['SOFT_PROMPTS_BATCHSIZE', 'SOFT_PROMPTS_BATCH_SIZE'],
    ['SOFT_PROMPTS_BACKED', 'SOFT_PROMPTS_BACKEND'],
    ['SOFT_PROMPTS_epochs', 'SOFT_PROMPTS_'],
  ];
  for (const [wrong, nearest] of cases) {
    const message = new RegExp(`^environment: ${wrong}: there is no such variable, the nearest is ${nearest}`);
    for (const read of [
      () => checkVariables({ [wrong]: '3' }), () => configure('tiny', {}, { [wrong]: '3' }),
      () => parameter('EPSILON', 0.7, { [wrong]: '3' }),
    ]) assert.throws(read, { message });
  }
});

test('Every setting and every other variable there is passes, and so does what is empty or of others.', () => {
  checkVariables(Object.fromEntries(VARIABLES.map((name) => [name, '3'])));
  checkVariables({ SOFT_PROMPTS_NONE: '', PATH: '/bin', SOFT_PROMPT_EPOCHS: '3' });
  assert.equal(new Set(VARIABLES).size, VARIABLES.length);
  assert.ok(VARIABLES.length > SETTING_NAMES.length);
});
