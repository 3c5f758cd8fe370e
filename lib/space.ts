/** The embedding space of a run: its model's vocabulary and its prompts, as the analysis notebooks need them. */
import { distanceBetween, distanceMatrix, type Convention } from './distances';
import { configure } from './experiment';
import type { NeighbourCurve } from './figures-neighbours';
import { findModel } from './hub';
import type { EmbeddingSpace } from './neighbour-statistics';
import { neighbourhoodCounts, type EpsilonCounts } from './neighbourhoods';
import { pointsFrom, type Points, type PromptLabel, type PromptSet } from './points';
import { gridWarnings, promptsOf, type Grid } from './runs';
import { openCheckpoint } from './safetensors';
import { SETTING_NAMES, settingText, spelled } from './settings';
import { escapeMarkdown, type Columns } from './tables';
import { singleToken } from './tokenizer';

/** The embedding matrix of a model folder, without loading the rest: [vocabulary, dModel]. */
export function readVocabulary(modelFolder: string): Points {
  const checkpoint = openCheckpoint(modelFolder);
  try {
    const name = checkpoint.names.find((candidate) => /^(transformer\.)?wte\.weight$/.test(candidate));
    if (name === undefined) throw new Error(`${modelFolder}: tensor wte.weight: expected, but missing`);
    const { data, shape } = checkpoint.read(name);
    return pointsFrom(data, shape[1]);
  } finally {
    checkpoint.close();
  }
}

/** The embedding matrix of a run's model. */
export function vocabularyOf(grid: Grid): Points {
  const { model, revision } = grid.experiment;
  return readVocabulary(findModel(model, { revision: grid.commit ?? revision }));
}

/**
 * Vocabulary, prompts after an epoch (default: the last) and the rows of the initial words. A vocabulary read
 * before (vocabularyOf) saves reading it again.
 */
export function readSpace(
  grid: Grid, epoch?: number, vocabulary: Points = vocabularyOf(grid),
): EmbeddingSpace {
  return { vocabulary, prompts: promptsOf(grid, epoch), initRows: grid.experiment.words.map(singleToken) };
}

/** The runs that started from these words only; `['all']` keeps all. Throws where there is no such word. */
export function selectWords(grid: Grid, words: readonly string[]): Grid {
  if (words.length === 1 && words[0] === 'all') return grid;
  const known = grid.experiment.words;
  const unknown = words.find((word) => !known.includes(word));
  if (unknown !== undefined || words.length === 0) {
    const found = unknown === undefined ? 'none' : JSON.stringify(unknown);
    throw new Error(`INIT_WORDS: ${found}, expected all or some of the words of ${grid.name}: ${known.join(', ')}`);
  }
  return {
    ...grid,
    experiment: { ...grid.experiment, words: known.filter((word) => words.includes(word)) },
    runs: grid.runs.filter(({ word }) => words.includes(word)),
  };
}

/** Every setting of a run beside those of the paper's text and of its authors' code: columns for a table. */
export function gridSettings(grid: Grid): Columns {
  const columns = {
    'this run': grid.experiment,
    "the paper's text": configure('paper', {}, {}),
    "its authors' code": configure('authors', {}, {}),
  };
  const texts = Object.entries(columns).map(([name, experiment]): [string, string[]] => (
    [name, SETTING_NAMES.map((setting) => settingText(setting, experiment[setting]).replaceAll(',', ', '))]));
  return { setting: SETTING_NAMES.map((name) => spelled(name, ' ')), ...Object.fromEntries(texts) };
}

/** What to bear in mind with a run's numbers; empty where its model is no demonstration model. */
export function gridCaution(grid: Grid): string {
  return grid.experiment.model === 'embedded'
    ? 'The embedded model is a small demonstration model: its results are no evidence about GPT-2 XL.' : '';
}

/** Markdown that says what the numbers below it are evidence of, and what is amiss with them. */
export function describeGrid(grid: Grid): string {
  const { name, experiment, device } = grid;
  const { model, data, tasks, words, seeds, promptTokens, epochs } = experiment;
  const runs = tasks.length * words.length * seeds.length;
  return `**Run \`${name}\`**: ${runs} runs (${tasks.length} tasks × ${words.length} words × ${seeds.length} seed` +
    `${seeds.length > 1 ? 's' : ''}), ${promptTokens} prompt vectors each, ${epochs} epochs; model \`${model}\`, ` +
    `data \`${data}\`; computed on ${device.backend} ${device.kind}. ${gridCaution(grid)}`.trimEnd() +
    gridWarnings(grid).map((warning) => `\n- **Warning** – ${escapeMarkdown(warning)}`).join('');
}

/** The ε of every curve and slider: 0.05, 0.10 … 1.00. */
export const CURVE_EPSILONS: readonly number[] = Array.from({ length: 20 }, (_, i) => (i + 1) / 20);

/**
 * How the neighbourhoods of the prompts grow with ε (corrected: no prompt is its own neighbour).
 * `await startBackend()` before.
 * @param counts of vocabulary rows around the prompts at several ε: those to draw, or what a survey has found
 */
export function promptNeighbourCurve(
  space: EmbeddingSpace,
  counts: EpsilonCounts | readonly number[] = CURVE_EPSILONS,
): NeighbourCurve {
  const { points, labels } = space.prompts;
  const found = 'counts' in counts ? counts : neighbourhoodCounts(points, space.vocabulary, counts);
  const { epsilons } = found;
  const vocabulary = columnMeans(found.counts);
  const distances = distanceMatrix(points, 'cosine');
  const among = (related: (a: PromptLabel, b: PromptLabel) => boolean) => epsilons.map((epsilon) => {
    let count = 0;
    for (let i = 0; i < points.count; i++) {
      for (let j = 0; j < points.count; j++) {
        if (i !== j && related(labels[i], labels[j]) && distanceBetween(distances, i, j) < epsilon) count++;
      }
    }
    return count / points.count;
  });
  return {
    epsilon: epsilons,
    counts: {
      'vocabulary tokens': vocabulary,
      prompts: among(() => true),
      'same word': among((a, b) => a.word === b.word),
      'same task': among((a, b) => a.task === b.task),
      'same position': among((a, b) => a.position === b.position),
    },
  };
}

/**
 * Table 3 at each of several ε: [epsilon, task, task], as taskCounts counts. `published`: a prompt is its own
 * neighbour.
 */
export function taskCountCurve(
  prompts: PromptSet,
  tasks: readonly string[],
  convention: Convention,
  epsilons: readonly number[] = CURVE_EPSILONS,
): number[][][] {
  const { count } = prompts.points;
  const distances = distanceMatrix(prompts.points, 'cosine');
  const taskOf = prompts.labels.map(({ task }) => tasks.indexOf(task));
  return epsilons.map((epsilon) => {
    const table = tasks.map(() => tasks.map(() => 0));
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        if (taskOf[i] < 0 || taskOf[j] < 0 || (i === j && convention === 'corrected')) continue;
        if (i === j || distanceBetween(distances, i, j) < epsilon) table[taskOf[i]][taskOf[j]]++;
      }
    }
    return table;
  });
}

function columnMeans(rows: readonly (readonly number[])[]): number[] {
  return rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length);
}
