/**
 * Writes build/questions.json, for ask.py: verbs and nouns of the task lists under the corpus's own titles, without any
 * tuning. Run: npm run questions [-- FOLDER]
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'gpt-tokenizer/encoding/r50k_base';
import { createHeldOut } from './held-out';
import { readMorphology } from './lemmas';
import { readTaskLists } from './lists';
import { buildFolder } from './paths';
import { createRules } from './words';

const TASKS = [
  { task: 'present_past', title: 'Past tense', base: 'verb', form: 'past tense' },
  { task: 'singular_plural', title: 'Plural', base: 'singular', form: 'plural' },
];
const lists = readTaskLists(process.argv[2]);
const rules = createRules(readMorphology());
const heldOut = createHeldOut(lists, rules.past, rules.plural);

const questions = TASKS.flatMap(({ task, title, base, form }) =>
  lists.pairs(task).filter(([word, inflected]) => word !== inflected).flatMap(([word, inflected]) => {
    const ask = (question: string, asked: string, input: string, answer: string, other: string) => ({
      question, isHeldOut: heldOut.forms.has(word), input, answer, other,
      text: encode(`${asked}\nWord: ${input}\nForm: `),
    });
    return [
      ask(`${form} of the ${base}`, title, word, inflected, word),
      ask(`${form} of the ${form}`, title, inflected, inflected, word),
      ask(`copy of the ${base}`, 'Copy', word, word, inflected),
    ];
  }));
writeFileSync(join(buildFolder, 'questions.json'), JSON.stringify(questions));
