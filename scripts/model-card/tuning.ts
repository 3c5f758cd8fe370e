/** Bars 1 and 5: prompt tuning with the paper's settings, and how the tuned prompts lie. */
import {
  configure, disposeGpt2, evaluate, findData, findModel, loadGpt2, loadTask, progressBarFor, ratePicture, singleToken, tf, trainGrid,
  type Experiment, type Grid,
} from '../../lib';
import { initialPrompts } from '../../lib/tuning';
import { mean, type Part } from './card';

interface TaskResult {
  readonly task: string;
  /** mean over words and seeds */
  readonly tuned: number;
  readonly lowest: number;
  /** standard deviation over seeds of the mean over words; 0 with one seed */
  readonly betweenSeeds: number;
  /** mean over words */
  readonly untuned: number;
  /** test items whose label has more tokens than are generated, which no prompt can get right */
  readonly tooLong: number;
}

/** Tunes all tasks and words with each seed, a grid a seed: another seed then costs no more than itself. */
export async function tuneGrids(
  name: string, label: string, overrides: Partial<Experiment>, seeds: readonly number[], workers: number | undefined,
): Promise<Grid[]> {
  const grids: Grid[] = [];
  for (const seed of seeds) {
    const experiment = configure('demo', { ...overrides, seeds: [seed] }, {});
    const onProgress = progressBarFor(`${label}, seed ${seed}`);
    grids.push(await trainGrid(`${name}-${seed}`, experiment, { workers, onProgress }));
  }
  return grids;
}

/** Bar 1 of grids that differ in their seed alone; `label` names the lists in the card. */
export function measureTuning(label: string, grids: readonly Grid[]): Part {
  const { experiment } = grids[0];
  const untuned = measureUntuned(experiment);
  const results = experiment.tasks.map((task): TaskResult => ({
    task, ...tunedResult(grids, task), untuned: untuned.get(task) ?? NaN, tooLong: tooLongLabels(experiment, task),
  }));
  const seeds = grids.flatMap((grid) => grid.experiment.seeds);
  const { words, epochs, learningRate } = experiment;
  return { bars: tuningBars(label, results, seeds.length), details: { words, seeds, epochs, learningRate, results } };
}

function tunedResult(grids: readonly Grid[], task: string): Pick<TaskResult, 'tuned' | 'lowest' | 'betweenSeeds'> {
  const accuracies = grids.map(({ runs }) => runs.filter((run) => run.task === task)
    .map(({ metrics }) => metrics[metrics.length - 1].testAccuracy));
  const ofSeeds = accuracies.map(mean);
  const tuned = mean(ofSeeds);
  const variance = ofSeeds.reduce((sum, value) => sum + (value - tuned) ** 2, 0) / Math.max(1, ofSeeds.length - 1);
  return { tuned, lowest: Math.min(...accuracies.flat()), betweenSeeds: Math.sqrt(variance) };
}

const testOf = ({ data, template }: Experiment, task: string) => loadTask(task, { folder: findData(data), template }).test;

const tooLongLabels = (experiment: Experiment, task: string): number =>
  testOf(experiment, task).filter(({ labelTokens }) => labelTokens.length > experiment.newTokens).length;

/** Test accuracy of the four vectors as they start, mean over the words. `await startBackend()` before. */
function measureUntuned(experiment: Experiment): Map<string, number> {
  const model = loadGpt2(findModel(experiment.model));
  const { tasks, words, promptTokens, newTokens, batchSize } = experiment;
  const start = initialPrompts(model, words.map(singleToken), promptTokens);
  const prompts = tf.tensor3d(start, [words.length, promptTokens, model.config.dModel]);
  const results = tasks.map((name): [string, number] => {
    const evaluations = evaluate(model, prompts, testOf(experiment, name), { batchSize, newTokens });
    return [name, mean(evaluations.map(({ accuracy }) => accuracy))];
  });
  prompts.dispose();
  disposeGpt2(model);
  return new Map(results);
}

function tuningBars(label: string, results: readonly TaskResult[], seeds: number): Part['bars'] {
  const average = mean(results.map(({ untuned }) => untuned));
  const highest = results.reduce((most, result) => (result.untuned > most.untuned ? result : most));
  return [
    ...results.map(({ task, tuned, lowest, betweenSeeds, tooLong }) => ({
      name: `${label}: ${task}, tuned`, asked: '≥ 0.95',
      found: `${tuned.toFixed(3)} (worst run ${lowest.toFixed(2)}, ${
        seeds > 1 ? `${seeds} seeds ± ${betweenSeeds.toFixed(3)}` : 'one seed'}${
        tooLong > 0 ? `; ${tooLong} labels are longer than what is generated` : ''})`,
      passes: tuned >= 0.95,
    })),
    {
      name: `${label}: untuned, mean of tasks`, asked: '≤ 0.6', found: average.toFixed(3), passes: average <= 0.6,
    },
    {
      name: `${label}: untuned, highest task`, asked: '≤ 0.8',
      found: `${highest.untuned.toFixed(3)} (${highest.task})`, passes: highest.untuned <= 0.8,
    },
  ];
}

/** Bar 5: same word nearer than same task nearer than all. */
export function measurePicture(label: string, grid: Grid): Part {
  const picture = ratePicture(grid);
  const { learningRate, word, task, all } = picture;
  return {
    bars: [{
      name: `${label}: same word < same task < all pairs, rate ${learningRate}`, asked: 'in this order',
      found: [word, task, all].map((distance) => distance.toFixed(3)).join(', '), passes: word < task && task < all,
    }],
    details: picture,
  };
}
