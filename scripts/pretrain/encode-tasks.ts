/** Writes build/tasks.json: the tokens of every task example, for evaluate.py. Run: npm run tokens [-- FOLDER] */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TASK_NAMES, readTaskPairs } from '../../lib/tasks';
import { encode } from 'gpt-tokenizer/encoding/r50k_base';
import { buildFolder, tasksFolder } from './paths';

const WORDS = 'cat dog bird book house chair table pen paper water'.split(' ');

const encodeLists = (folder: string, suffix: string): [string, unknown][] =>
  TASK_NAMES.map((name) => [
    name + suffix,
    readTaskPairs(name, folder).map(({ input, output }) => ({
      text: encode(`Input: ${input}\nLabel: `), label: encode(output), output,
    })),
  ]);
const other = process.argv[2];
const tasks = Object.fromEntries([
  ...encodeLists(tasksFolder, ''), ...(other === undefined ? [] : encodeLists(other, '-other')),
]);
const words = Object.fromEntries(WORDS.map((word) => [word, encode(word)]));
writeFileSync(join(buildFolder, 'tasks.json'), JSON.stringify({ tasks, words }));
