import { createRandom as createStream } from '../../lib/random';

/** What the corpus draws with: a seeded stream of lib/random, and the draws that texts need. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). */
  below(bound: number): number;
  /** One element of a list. */
  pick<Item>(items: readonly Item[]): Item;
  /** A shuffled copy of a list. */
  shuffle<Item>(items: readonly Item[]): Item[];
}

export function createRandom(seed: number): Random {
  const stream = createStream(seed);
  return {
    next: () => stream.uniform(),
    below: (bound) => stream.integers(bound),
    pick: (items) => items[stream.integers(items.length)],
    shuffle: (items) => stream.permutation(items.length).map((index) => items[index]),
  };
}
