/** Measures the embedded model and writes data/model/card.json and the table of data/model/README.md. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findModel, ratePicture, selectWords, type Experiment, type RatePicture } from '../../lib';
import { projectFolder, sha256File } from '../../lib/files';
import { cardTable, readCard, savePart, writeTable, type Card, type Part } from './card';
import { drawTraining } from './curve';
import { measureNeighbours } from './neighbours';
import { measureText } from './text';
import { measurePicture, measureTuning, tuneGrids } from './tuning';
import { measureVocabulary } from './vocabulary';

const USAGE = `npm run model-card [-- options]
  --lists FOLDER     also tune on these six task lists, such as the paper's
  --model FOLDER     default: embedded; the table goes to data/model/README.md only for that
  --seeds 0,1,2      tuning seeds, and
  --list-seeds 0,1,2 those on the lists of --lists; default: the same
  --rates 0.0001,0.0003,0.003,0.01,0.03
                     learning rates of the picture besides the paper's 0.001, on three words and the first seed; '' is none
  --only PARTS       of vocabulary, neighbours, text, tuning; default: all
  --workers N        tuning processes; default: one a core
  --epochs N         instead of the paper's 50, and
  --tasks A,B        some tasks only: a look in between, which the card does not keep
What was measured before on the same weights is kept; tuning goes on where it was stopped.`;

interface Options {
  readonly model: string;
  readonly lists: string | undefined;
  readonly seeds: readonly number[];
  readonly listSeeds: readonly number[];
  readonly rates: readonly number[];
  readonly only: readonly string[];
  readonly workers: number | undefined;
  /** What makes the tuning a look in between. */
  readonly trial: Partial<Experiment>;
}

const PARTS = ['vocabulary', 'neighbours', 'text', 'tuning'];
const PAPER_RATE = 1e-3;
const RATES = [1e-4, 3e-4, 3e-3, 1e-2, 3e-2];
/** Initial words of the comparison of learning rates: the first few, since every rate costs as much as a grid. */
const RATE_WORDS = 3;

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      lists: { type: 'string' }, model: { type: 'string' }, seeds: { type: 'string' }, 'list-seeds': { type: 'string' }, rates: { type: 'string' },
      only: { type: 'string' }, workers: { type: 'string' }, epochs: { type: 'string' }, tasks: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  const numbers = (name: 'seeds' | 'list-seeds' | 'rates', fallback: number[]): number[] => {
    const found = values[name]?.split(',').filter(Boolean).map(Number) ?? fallback;
    if (found.some(Number.isNaN) || (found.length === 0 && name !== 'rates')) throw new Error(`--${name}: expected numbers, found '${values[name]}'`);
    return found;
  };
  const only = values.only?.split(',') ?? PARTS;
  const unknown = only.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`--only: expected some of ${PARTS.join(', ')}, found ${unknown}`);
  const seeds = numbers('seeds', [0, 1, 2]);
  return {
    model: values.model === undefined ? 'embedded' : resolve(values.model),
    lists: values.lists === undefined ? undefined : resolve(values.lists),
    seeds, listSeeds: numbers('list-seeds', seeds), rates: numbers('rates', RATES), only,
    workers: values.workers === undefined ? undefined : Number(values.workers),
    trial: {
      ...(values.epochs === undefined ? {} : { epochs: Number(values.epochs) }),
      ...(values.tasks === undefined ? {} : { tasks: values.tasks.split(',') }),
    },
  };
}

async function main(options: Options): Promise<void> {
  const { model, only, trial } = options;
  const isTrial = Object.keys(trial).length > 0;
  const folder = findModel(model);
  const cardFile = join(folder, 'card.json');
  let card = readCard(cardFile, join(folder, 'model.safetensors'));
  const keep = (name: string, part: Part): void => {
    if (!isTrial) card = savePart(cardFile, card, name, part);
    for (const bar of part.bars) {
      console.log(`\n${bar.passes ? 'passes' : 'FAILS '}  ${bar.name}: ${bar.found}, asked ${bar.asked}`);
    }
  };
  if (only.includes('vocabulary')) keep('vocabulary', await measureVocabulary(model));
  if (only.includes('neighbours')) keep('neighbours', await measureNeighbours(model));
  if (only.includes('text')) {
    const part = await measureText(model);
    if (part) keep('text', part);
    else console.log('text: not measured, the corpus is not there (scripts/pretrain/README.md)');
  }
  if (only.includes('tuning')) await measureAllTuning(options, card, keep);
  if (!isTrial) await finish(card, model);
}

async function measureAllTuning(options: Options, card: Card, keep: (name: string, part: Part) => void): Promise<void> {
  const { lists, seeds, listSeeds, rates, workers, trial } = options;
  const common = { model: options.model, ...trial };
  const trialName = Object.values(trial).flat();
  const run = (...parts: (string | number)[]): string =>
    ['card', card.model.slice(0, 8), ...parts, ...trialName].join('-');
  const own = await tuneGrids(run('own'), 'our lists', common, seeds, workers);
  keep('tuning', measureTuning('our lists', own));
  keep('picture', measurePicture('our lists', own[0]));
  if (lists !== undefined) {
    const other = await tuneGrids(run('other'), 'other lists', { ...common, data: lists }, listSeeds, workers);
    keep('tuning of other lists', measureTuning('other lists', other));
    keep('picture of other lists', measurePicture('other lists', other[0]));
  }
  const pictures: RatePicture[] = [];
  for (const learningRate of [...new Set([PAPER_RATE, ...rates])].sort((a, b) => a - b)) {
    const words = own[0].experiment.words.slice(0, RATE_WORDS);
    const overrides = { ...common, learningRate, words };
    const [grid] = learningRate === PAPER_RATE
      ? [selectWords(own[0], words)]
      : await tuneGrids(run('rate', learningRate), `rate ${learningRate}`, overrides, seeds.slice(0, 1), workers);
    pictures.push(ratePicture(grid));
    keep('rates', { bars: [], details: pictures });
  }
}

async function finish(card: Card, model: string): Promise<void> {
  console.log(`\n${cardTable(card)}\n`);
  const shipped = join(projectFolder, 'data', 'model', 'model.safetensors');
  if (model !== 'embedded' || !existsSync(shipped) || sha256File(shipped) !== card.model) return;
  writeTable(card);
  await drawTraining(dirname(shipped));
}

async function run(): Promise<void> {
  const options = readOptions();
  if (options === undefined) console.log(USAGE);
  else await main(options);
}

run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
