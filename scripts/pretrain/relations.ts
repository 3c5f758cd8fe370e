import { letterRelations } from './letter-relations';
import { placeRelations } from './place-relations';
import type { Pools } from './pools';
import type { Random } from './random';
import type { Pair } from './tables';
import { nounRelations, verbRelations } from './word-relations';

type Sentence = (input: string, output: string) => string;

/** Something to do with an input: a task of the project, or one that competes with it. */
export interface Relation {
  readonly name: string;
  /** How often it is asked for by name. */
  readonly weight: number;
  /** How often it is what happens when nothing that makes sense was asked for. */
  readonly unasked: number;
  readonly titles: readonly string[];
  readonly keys: readonly Pair[];
  readonly sentences: readonly Sentence[];
  draw(): Pair;
}

export const createRelations = (pools: Pools, random: Random): Relation[] => [
  ...letterRelations(pools, random),
  ...placeRelations(pools),
  ...verbRelations(pools, random),
  ...nounRelations(pools, random),
  copyRelation(pools, random),
];

/** Saying the input again: what mostly happens when the title makes no sense. Inputs of every task occur. */
function copyRelation(pools: Pools, random: Random): Relation {
  const inputs = [
    pools.word,
    () => pools.word().toUpperCase(),
    () => pools.country().name,
    () => pools.place().name,
    () => pools.verb().base,
    () => pools.verb().past,
    () => pools.noun()[0],
    () => pools.noun()[1],
  ];
  return {
    name: 'copy',
    weight: 5,
    unasked: 6,
    titles: ['Copy', 'Repeat the word', 'Same'],
    keys: [['word', 'again']],
    sentences: [(x, y) => `${x}, ${y}.`, (x, y) => `"${x}" ${y}`],
    draw: () => {
      const input = random.pick(inputs)();
      return [input, input];
    },
  };
}
