/**
 * What notebooks 04 and 05 compute, on random points of the paper's size at GPT-2 XL's width: 240 prompts and 110 tokens
 * against 50 257 × 1600. `node --import tsx bench/analysis.ts FOLDER` writes the points there, analyses them and prints
 * numbers, time and memory as JSON for bench/analysis.py.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startBackend } from '../lib/backend';
import {
  comparisonGroups, distanceMatrix, groupMeans, meanDistance, meanSampleDistance, type Convention, type Metric,
} from '../lib/distances';
import {
  countPromptNeighbours, countTokenNeighbours, nearestDistances, ofTokens, surveySpace, taskCounts, tokensToStudy, withinEpsilon,
  type EmbeddingSpace, type SpaceSurvey,
} from '../lib/neighbour-statistics';
import { pointAt, pointsFrom, type Points, type PromptLabel, type PromptSet } from '../lib/points';
import { projectTsne } from '../lib/projection';
import { createRandom, type Random } from '../lib/random';
import { CURVE_EPSILONS, promptNeighbourCurve } from '../lib/space';
import { mantelTest, summarizeCorrelations, wordCorrelations } from '../lib/statistics';
import { SHAPES } from './models';

const EPSILON = 0.7;
const TABLE_EPSILON = 0.5;
const CONVENTIONS: readonly Convention[] = ['published', 'corrected'];

const TASKS = 6;
const WORDS = 10;
const POSITIONS = 4;
const RANDOM_TOKENS = 100;
/** Prompts and tokens whose neighbours are searched. */
export const QUERIES = TASKS * WORDS * POSITIONS + RANDOM_TOKENS + WORDS;
/** Tokens that have a direction in common, so that a token has about as many neighbours within 0.7 as in the paper. */
const TOKENS_IN_GROUP = 37;

export interface RandomSpace extends EmbeddingSpace {
  /** 100 vocabulary rows, which with the init words are the paper's 110 tokens */
  readonly randomTokens: readonly number[];
}

/** The numbers of every table, by name. */
type Numbers = Record<string, readonly number[]>;

/** All that notebooks 04 and 05 compute but Mantel's test and the t-SNE, with one pass over the vocabulary. */
export function analyse(space: RandomSpace): Numbers {
  const tokens = tokensToStudy(space.randomTokens, space.initRows, 'published');
  const survey = surveySpace(space, tokens, EPSILON, CURVE_EPSILONS);
  const curve = Object.entries(promptNeighbourCurve(space, survey.curve).counts);
  const perConvention = CONVENTIONS.map((convention): Numbers => ({
    ...neighbourNumbers(space, survey, convention),
    ...distanceNumbers(space, 'cosine', convention),
    ...distanceNumbers(space, 'euclidean', convention),
  }));
  return Object.fromEntries([
    ...curve.map(([name, counts]) => [`curve, ${name}`, counts]),
    ...perConvention.flatMap((numbers, i) => (
      Object.entries(numbers).map(([name, values]) => [`${name}, ${CONVENTIONS[i]}`, values]))),
  ]) as Numbers;
}

/** What only ours does here: the plane of figure 4 and Mantel's test. */
export function analyseFurther({ prompts: { points, labels } }: RandomSpace): void {
  const cosine = distanceMatrix(points, 'cosine');
  projectTsne(points, cosine);
  mantelTest(cosine, labels, [labels[0].word, labels[POSITIONS].word], 999, createRandom(0));
}

function neighbourNumbers(space: RandomSpace, survey: SpaceSurvey, convention: Convention): Numbers {
  const { labels } = space.prompts;
  const tasks = [...new Set(labels.map(({ task }) => task))];
  const tokens = ofTokens(survey.tokens, tokensToStudy(space.randomTokens, space.initRows, convention));
  const nearest = (found: typeof survey.prompts, among: 'any' | 'vocabulary'): number[] => {
    const { mean, withNeighbour, withoutNeighbour } = nearestDistances(found, among, convention);
    return [mean, withNeighbour, withoutNeighbour];
  };
  const prompts = countPromptNeighbours(space, survey.prompts, convention);
  return {
    'counts around prompts': prompts.flatMap((count) => (
      [count.all, count.vocabulary, count.prompts, count.sameWord, count.sameTask, count.samePosition, count.initWords])),
    'counts around tokens': countTokenNeighbours(space, tokens, convention).flatMap((count) => (
      [count.all, count.vocabulary, count.prompts])),
    'nearest to prompts': [...nearest(survey.prompts, 'any'), ...nearest(survey.prompts, 'vocabulary')],
    'nearest to tokens': [...nearest(tokens, 'any'), ...nearest(tokens, 'vocabulary')],
    'counts between tasks': [TABLE_EPSILON, EPSILON].flatMap((epsilon) => (
      taskCounts(space.prompts, withinEpsilon(survey.prompts, epsilon), tasks, convention).flat())),
  };
}

function distanceNumbers(space: RandomSpace, metric: Metric, convention: Convention): Numbers {
  const { points, labels } = space.prompts;
  const distances = distanceMatrix(points, metric);
  const { betweenPositions, betweenTasks, betweenWords } = comparisonGroups(distances, labels, convention);
  const groups = (['word', 'task'] as const).map((key) => groupMeans(distances, labels, [key], convention));
  const { min, median, max } = summarizeCorrelations(wordCorrelations(distances, labels, convention));
  return {
    [`mean ${metric} distances`]: [
      ...[...groups, betweenPositions, betweenTasks, betweenWords].flat().map(({ mean }) => mean),
      meanDistance(distances, convention), meanSampleDistance(space.vocabulary, space.randomTokens, metric, convention),
    ],
    [`correlations of ${metric} distances`]: [min, median, max],
  };
}

/**
 * A vocabulary in groups, at cosine distance about 0.6 within a group and 0.85 between groups, and prompts that lie
 * around their words' tokens. Squared shares of the parts add up to 1.
 */
export function randomSpace(seed = 1): RandomSpace {
  const { dModel, vocabularySize } = SHAPES.xl;
  const random = createRandom(seed);
  const direction = directionsFrom(random, dModel);
  const common = direction();
  const groups = Array.from({ length: Math.ceil(vocabularySize / TOKENS_IN_GROUP) }, direction);
  const vocabulary = pointsFrom(new Float32Array(vocabularySize * dModel), dModel);
  for (let row = 0; row < vocabularySize; row++) {
    mix(pointAt(vocabulary, row), [common, groups[row % groups.length], direction()], [0.15, 0.25, 0.6]);
  }
  const initRows = random.choice(vocabularySize, WORDS);
  return { vocabulary, initRows, prompts: promptsAround(vocabulary, initRows, direction), randomTokens: random.choice(vocabularySize, RANDOM_TOKENS) };
}

function promptsAround(vocabulary: Points, initRows: readonly number[], direction: () => Float32Array): PromptSet {
  const { dModel } = vocabulary;
  const labels: PromptLabel[] = [];
  const rows: Float32Array[] = [];
  const drift = direction();
  for (let task = 0; task < TASKS; task++) {
    const ofTask = direction();
    for (const row of initRows) {
      for (let position = 0; position < POSITIONS; position++) {
        const kept = 0.5 - 0.1 * position;
        const point = new Float32Array(dModel);
        mix(point, [pointAt(vocabulary, row), drift, ofTask, direction()], [kept, 0.2, 0.15, 0.65 - kept]);
        labels.push({ task: `task ${task}`, word: `word ${row}`, seed: 0, position });
        rows.push(point);
      }
    }
  }
  const data = new Float32Array(rows.length * dModel);
  rows.forEach((point, i) => data.set(point, i * dModel));
  return { points: pointsFrom(data, dModel), labels };
}

/** Random directions of length about 1: windows into one block of normal numbers, as generating 80 million takes long. */
function directionsFrom(random: Random, dModel: number): () => Float32Array {
  const block = Float32Array.from({ length: 1 << 20 }, () => random.normal() / Math.sqrt(dModel));
  return () => {
    const start = random.integers(block.length - dModel);
    return block.subarray(start, start + dModel);
  };
}

function mix(into: Float32Array, parts: readonly Float32Array[], shares: readonly number[]): void {
  parts.forEach((part, i) => {
    const factor = Math.sqrt(shares[i]);
    for (let k = 0; k < into.length; k++) into[k] += factor * part[k];
  });
}

/** Little-endian float32 rows and, as JSON, what they are. */
function writeSpace(folder: string, { vocabulary, prompts, initRows, randomTokens }: RandomSpace): void {
  for (const [name, { data }] of [['vocabulary', vocabulary], ['prompts', prompts.points]] as const) {
    writeFileSync(join(folder, `${name}.f32`), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  const { dModel } = vocabulary;
  writeFileSync(join(folder, 'space.json'), JSON.stringify({
    dModel, labels: prompts.labels, initRows, randomTokens, epsilon: EPSILON, tableEpsilon: TABLE_EPSILON, epsilons: CURVE_EPSILONS }));
}

async function main(folder: string): Promise<void> {
  await startBackend();
  const space = randomSpace();
  writeSpace(folder, space);
  const timed = <T>(work: () => T) => {
    const [since, used] = [performance.now(), process.cpuUsage()];
    const value = work();
    const { user, system } = process.cpuUsage(used);
    return { seconds: (performance.now() - since) / 1000, cpuSeconds: (user + system) / 1e6, value };
  };
  const { value: numbers, ...time } = timed(() => analyse(space));
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  const { seconds, cpuSeconds } = timed(() => analyseFurther(space));
  console.log(JSON.stringify({ ...time, peakMemoryBytes, numbers, further: { seconds, cpuSeconds } }));
}

if (require.main === module) {
  main(process.argv[2]).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
