/** The one module of tsne-js (which has no types) that lib/projection.ts uses. */
declare module 'tsne-js/dist/joint-probabilities' {
  interface SquareMatrix {
    readonly shape: readonly [number, number];
    get(row: number, column: number): number;
  }
  /** Joint probabilities of t-SNE from squared distances; `data` is [count, count], row-major. */
  function jointProbabilities(
    squaredDistances: SquareMatrix,
    perplexity: number,
  ): { readonly data: Float64Array };
  export = jointProbabilities;
}
