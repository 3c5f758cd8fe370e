/**
 * The numbers of section 3.2 of the paper, from the neighbours that findNeighbours returns: how crowded the
 * surroundings of prompts and of vocabulary tokens are, by what, and how far the nearest neighbour is.
 *
 * `published` counts as the authors did: every point counts as its own neighbour, the init words' vocabulary
 * rows are in the pool twice, the init words are among the sampled tokens, and a nearest distance is looked
 * up among the neighbours within ε only. `corrected` does none of this.
 */
import type { Convention } from './distances';
import {
  findNeighbours, selectNeighbours, surveyNeighbours, type EpsilonCounts, type Neighbours,
} from './neighbourhoods';
import { concatPoints, selectPoints, type Points, type PromptLabel, type PromptSet } from './points';

/** Everything the statistics look at. */
export interface EmbeddingSpace {
  /** the model's embedding matrix, row = token id */
  readonly vocabulary: Points;
  readonly prompts: PromptSet;
  /** the vocabulary row of each init word */
  readonly initRows: readonly number[];
}

/** Neighbours of some points in both parts of the space; no point is among its own neighbours. */
export interface SpaceNeighbours {
  readonly epsilon: number;
  /** neighbours among the vocabulary rows (the init words' rows once) */
  readonly vocabulary: Neighbours;
  /** neighbours among the prompts, by row of the prompt set */
  readonly prompts: Neighbours;
}

/** Neighbours of vocabulary tokens, and which tokens. */
export interface TokenNeighbours extends SpaceNeighbours {
  readonly tokens: readonly number[];
}

/** Neighbours of prompts and tokens, found together. */
export interface SpaceSurvey {
  readonly prompts: SpaceNeighbours;
  readonly tokens: TokenNeighbours;
  /** [prompt, epsilon]: how many vocabulary rows are closer than this ε to this prompt */
  readonly curve: EpsilonCounts;
}

/** How many neighbours a token has, of each kind. */
export interface TokenCounts {
  readonly all: number;
  readonly vocabulary: number;
  readonly prompts: number;
}

/** How many neighbours a prompt vector has, of each kind. */
export interface PromptCounts extends TokenCounts {
  /** prompts of the same init word; a prompt can be of the same word, task and position at once */
  readonly sameWord: number;
  readonly sameTask: number;
  readonly samePosition: number;
  /** init words' own embeddings; `published` counts them a second time within `vocabulary` */
  readonly initWords: number;
}

/** Distances to the nearest neighbour, one for each query. */
export interface NearestDistances {
  /** cosine distance; NaN where there is none (published: none within ε) */
  readonly distances: Float64Array;
  /** over the queries that have one; NaN where no query has */
  readonly mean: number;
  readonly withNeighbour: number;
  readonly withoutNeighbour: number;
}

/** A neighbour: a row of the vocabulary or of the prompt set. */
export interface Neighbour {
  readonly row: number;
  /** cosine distance, 0–2 */
  readonly distance: number;
}

/**
 * Neighbours of every prompt. `await startBackend()` before.
 * Throws as findNeighbours, and where labels or init rows do not fit the points.
 */
export function neighboursOfPrompts(space: EmbeddingSpace, epsilon: number): SpaceNeighbours {
  checkSpace(space);
  const { points } = space.prompts;
  const ownRows = [...Array(points.count).keys()];
  return {
    epsilon,
    vocabulary: findNeighbours(points, space.vocabulary, { epsilon }),
    prompts: findNeighbours(points, points, { epsilon, ownRows }),
  };
}

/** Neighbours of chosen vocabulary tokens, as neighboursOfPrompts. Throws also for a token there is not. */
export function neighboursOfTokens(
  space: EmbeddingSpace,
  tokens: readonly number[],
  epsilon: number,
): TokenNeighbours {
  checkSpace(space);
  const queries = selectPoints(space.vocabulary, tokens);
  return {
    epsilon,
    tokens: [...tokens],
    vocabulary: findNeighbours(queries, space.vocabulary, { epsilon, ownRows: tokens }),
    prompts: findNeighbours(queries, space.prompts.points, { epsilon }),
  };
}

/**
 * neighboursOfPrompts, neighboursOfTokens and the prompts' counts at several ε with one pass over the vocabulary.
 * What is wanted at a smaller ε or of fewer tokens needs no other: withinEpsilon, ofTokens.
 */
export function surveySpace(
  space: EmbeddingSpace,
  tokens: readonly number[],
  epsilon: number,
  epsilons: readonly number[],
): SpaceSurvey {
  checkSpace(space);
  const { points } = space.prompts;
  const queries = concatPoints(points, selectPoints(space.vocabulary, tokens));
  const promptQueries = [...Array(points.count).keys()];
  const tokenQueries = tokens.map((_, i) => points.count + i);
  const { neighbours, counts } = surveyNeighbours(queries, space.vocabulary, epsilons, {
    epsilon, ownRows: [...promptQueries.map(() => -1), ...tokens],
  });
  const among = findNeighbours(queries, points, { epsilon, ownRows: [...promptQueries, ...tokens.map(() => -1)] });
  const part = (rows: readonly number[]): SpaceNeighbours => ({
    epsilon, vocabulary: selectNeighbours(neighbours, rows), prompts: selectNeighbours(among, rows),
  });
  return {
    prompts: part(promptQueries),
    tokens: { ...part(tokenQueries), tokens: [...tokens] },
    curve: { epsilons: counts.epsilons, counts: counts.counts.slice(0, points.count) },
  };
}

/** The same neighbours within a smaller ε, without another search. Throws where it is larger. */
export function withinEpsilon<F extends SpaceNeighbours>(found: F, epsilon: number): F {
  const narrow = (neighbours: Neighbours): Neighbours =>
    selectNeighbours(neighbours, [...neighbours.rows.keys()], epsilon);
  return { ...found, epsilon, vocabulary: narrow(found.vocabulary), prompts: narrow(found.prompts) };
}

/** The neighbours of some of the tokens, without another search. Throws where a token is not among them. */
export function ofTokens(found: TokenNeighbours, tokens: readonly number[]): TokenNeighbours {
  const queries = tokens.map((token) => found.tokens.indexOf(token));
  const missing = queries.indexOf(-1);
  if (missing >= 0) throw new Error(`tokens: ${tokens[missing]}, expected one whose neighbours were searched`);
  return {
    epsilon: found.epsilon,
    tokens: [...tokens],
    vocabulary: selectNeighbours(found.vocabulary, queries),
    prompts: selectNeighbours(found.prompts, queries),
  };
}

/**
 * The tokens whose neighbourhoods are averaged: `published` the random ones and the init words (the paper's
 * "100 random tokens" are 110), `corrected` the random ones only.
 */
export function tokensToStudy(
  randomTokens: readonly number[],
  initRows: readonly number[],
  convention: Convention,
): number[] {
  return convention === 'published' ? [...randomTokens, ...initRows] : [...randomTokens];
}

/** How many neighbours each token has. Means over tokens: meanCounts. */
export function countTokenNeighbours(
  space: EmbeddingSpace,
  found: TokenNeighbours,
  convention: Convention,
): TokenCounts[] {
  const initRows = new Set(space.initRows);
  return found.tokens.map((token, query) => {
    const rows = found.vocabulary.rows[query];
    // Published: the token itself, and the second copies of the init words, its own among them.
    const second = countIn(rows, initRows) + (initRows.has(token) ? 1 : 0);
    const vocabulary = rows.length + (convention === 'published' ? 1 + second : 0);
    const prompts = found.prompts.rows[query].length;
    return { all: vocabulary + prompts, vocabulary, prompts };
  });
}

/** How many neighbours each prompt has. Means over prompts: meanCounts. */
export function countPromptNeighbours(
  space: EmbeddingSpace,
  found: SpaceNeighbours,
  convention: Convention,
): PromptCounts[] {
  const { labels } = space.prompts;
  const initRows = new Set(space.initRows);
  const itself = convention === 'published' ? 1 : 0;
  return labels.map((label, query) => {
    const near = [...found.prompts.rows[query]].map((row) => labels[row]);
    const same = (key: keyof PromptLabel): number =>
      near.filter((other) => other[key] === label[key]).length + itself;
    const initWords = countIn(found.vocabulary.rows[query], initRows);
    const vocabulary = found.vocabulary.rows[query].length + (convention === 'published' ? initWords : 0);
    const prompts = near.length + itself;
    return {
      all: vocabulary + prompts,
      vocabulary,
      prompts,
      sameWord: same('word'),
      sameTask: same('task'),
      samePosition: same('position'),
      initWords,
    };
  });
}

/** The mean of every count. Throws where there is nothing to average. */
export function meanCounts<C extends TokenCounts>(counts: readonly C[]): { [K in keyof C]: number } {
  if (counts.length === 0) throw new Error('meanCounts: no counts, expected at least one token or prompt');
  const keys = Object.keys(counts[0]) as (keyof C)[];
  const sum = (key: keyof C): number => counts.reduce((total, count) => total + (count[key] as number), 0);
  return Object.fromEntries(keys.map((key) => [key, sum(key) / counts.length])) as { [K in keyof C]: number };
}

/**
 * How far each query's nearest neighbour is.
 * @param among `vocabulary`: the nearest vocabulary row; `any`: the nearest of vocabulary and prompts
 */
export function nearestDistances(
  found: SpaceNeighbours,
  among: 'any' | 'vocabulary',
  convention: Convention,
): NearestDistances {
  const distances = found.vocabulary.nearestDistance.map((toVocabulary, query) => {
    const toPrompt = among === 'any' ? found.prompts.nearestDistance[query] : NaN;
    const nearest = smaller(toVocabulary, toPrompt);
    return convention === 'published' && !(nearest < found.epsilon) ? NaN : nearest;
  });
  const known = distances.filter((distance) => !Number.isNaN(distance));
  return {
    distances,
    mean: known.reduce((sum, distance) => sum + distance, 0) / known.length,
    withNeighbour: known.length,
    withoutNeighbour: distances.length - known.length,
  };
}

/**
 * Table 3: how often prompts of one task (column) lie in the neighbourhoods of prompts of another (row);
 * symmetric. The paper's table was made with ε = 0.5, though its caption says 0.7.
 * @param tasks order of rows and columns; prompts of other tasks are left out
 * @returns [task, task]
 */
export function taskCounts(
  prompts: PromptSet,
  found: SpaceNeighbours,
  tasks: readonly string[],
  convention: Convention,
): number[][] {
  const taskOf = prompts.labels.map((label) => tasks.indexOf(label.task));
  const table = tasks.map(() => tasks.map(() => 0));
  taskOf.forEach((task, query) => {
    if (task < 0) return;
    if (convention === 'published') table[task][task]++;
    for (const row of found.prompts.rows[query]) if (taskOf[row] >= 0) table[task][taskOf[row]]++;
  });
  return table;
}

/** The neighbours of one query as a list, nearest first. Throws where there is no such query. */
export function neighbourList(neighbours: Neighbours, query: number): Neighbour[] {
  const rows = neighbours.rows[query];
  if (!rows) throw new Error(`neighbours: query ${query} of ${neighbours.rows.length}`);
  return Array.from(rows, (row, i) => ({ row, distance: neighbours.distances[query][i] }));
}

function checkSpace({ vocabulary, prompts, initRows }: EmbeddingSpace): void {
  if (prompts.labels.length !== prompts.points.count) {
    throw new Error(`labels: ${prompts.labels.length} for ${prompts.points.count} prompts`);
  }
  const wrong = initRows.find((row) => !(Number.isInteger(row) && row >= 0 && row < vocabulary.count));
  if (wrong !== undefined) throw new Error(`initRows: ${wrong}, expected a row below ${vocabulary.count}`);
}

function countIn(rows: Int32Array, wanted: ReadonlySet<number>): number {
  return rows.reduce((count, row) => count + (wanted.has(row) ? 1 : 0), 0);
}

/** The smaller of two numbers of which one may be NaN. */
function smaller(a: number, b: number): number {
  return a <= b || Number.isNaN(b) ? a : b;
}
