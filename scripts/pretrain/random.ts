/** A seeded stream of random numbers: the same seed always gives the same corpus. */
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

/** Mulberry32, a 32-bit generator: small, and good enough to draw sentences with. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  const shuffle = <Item>(items: readonly Item[]): Item[] => {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  };
  return { next, below, pick: (items) => items[below(items.length)], shuffle };
}
