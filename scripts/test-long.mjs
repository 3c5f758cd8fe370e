// npm run test:long: the tests that kill training and damage files, with many more cases than npm test has time for.
import { setUp } from './lib/setup.mjs';
import { passThrough } from './lib/notebooks.mjs';
import { runMain } from './lib/steps.mjs';

// Settings of one's own win, for example SOFT_PROMPTS_TEST_SEED=7 npm run test:long.
const settings = {
  SOFT_PROMPTS_TEST_KILLS: '60',
  SOFT_PROMPTS_TEST_CASES: '20000',
  ...process.env,
};

await runMain(async () => {
  await setUp({ quiet: true });
  const files = ['tests/kill.test.ts', 'tests/fuzz.test.ts'];
  return passThrough(
    process.execPath,
    ['--import', 'tsx', '--test', '--test-reporter=spec', ...files],
    settings,
  );
});
