/** Writes build/tasks.json: the tokens of every task example, for evaluate.py. Run: npm run tokens */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'gpt-tokenizer/encoding/r50k_base';
import { buildFolder, tasksFolder } from './paths';

const TASKS: Record<string, string> = {
  country_capital: 'country-capital',
  landmark_country: 'landmark-country',
  present_past: 'present-past',
  singular_plural: 'singular-plural',
  capitalize_first_letter: 'capitalize_first_letter',
  lowercase_first_letter: 'lowercase_first_letter',
};
const WORDS = 'cat dog bird book house chair table pen paper water'.split(' ');

const tasks = Object.fromEntries(
  Object.entries(TASKS).map(([name, file]) => {
    const rows = JSON.parse(readFileSync(join(tasksFolder, `${file}.json`), 'utf8')) as {
      input: string;
      output: string;
    }[];
    const examples = rows.map(({ input, output }) => ({
      text: encode(`Input: ${input}\nLabel: `),
      label: encode(output),
      output,
    }));
    return [name, examples];
  }),
);
const words = Object.fromEntries(WORDS.map((word) => [word, encode(word)]));
for (const [word, ids] of Object.entries(words))
  if (ids.length !== 1) throw new Error(`${word} is not one token`);
writeFileSync(join(buildFolder, 'tasks.json'), JSON.stringify({ tasks, words }));
