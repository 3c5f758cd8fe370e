import { readTaskPairs, splitIndices } from '../../lib/tasks';
import { tasksFolder } from './paths';
import type { Pair } from './tables';

/**
 * The task lists that the model shall know: the project's own and, where its folder is named on the command line,
 * another set of the same six, such as the paper's.
 */
export interface TaskLists {
  /** All different pairs of a task, in the order of the lists. */
  pairs(task: string): Pair[];
  /** The pairs of the lists' test sets. */
  testPairs(task: string): Pair[];
}

export function readTaskLists(otherFolder: string | undefined): TaskLists {
  const folders = otherFolder === undefined ? [tasksFolder] : [tasksFolder, otherFolder];
  const listsOf = (task: string): Pair[][] =>
    folders.map((folder) => readTaskPairs(task, folder).map(({ input, output }): Pair => [input, output]));
  return {
    pairs: (task) => [...new Map(listsOf(task).flat().map((pair) => [pair.join('\n'), pair])).values()],
    testPairs: (task) =>
      listsOf(task).flatMap((pairs) => splitIndices(pairs.length).test.map((index) => pairs[index])),
  };
}
