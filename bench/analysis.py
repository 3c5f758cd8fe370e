"""The analysis of notebooks 04 and 05 at GPT-2 XL's size, by this project, by vectorised NumPy and by a loop, in turn.

    python bench/analysis.py [--rounds 2] [--json FILE]

Needs numpy and scipy (tests/reference/requirements.txt names versions) and 2 GB of memory. 240 prompts and 110 tokens
against 50 257 x 1600 random numbers, which bench/analysis.ts makes and writes to a temporary folder. Every method has a
process of its own and all cores, and starts with the numbers in memory; ours searches in single precision and decides in
double, so NumPy in double precision must find the same counts, which is checked (exit code 1 where it does not). Two
further lines: NumPy in single precision and how many of its counts are off, and a loop that measures one pair after
another with scipy, as the paper's authors did: measured on a sample of pairs, extrapolated to one pass over all pairs.
CPU seconds are summed over the cores: compare these where the machine has other work.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from itertools import combinations

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOOP_SECONDS = 5


def read_space(folder):
    import numpy as np

    space = json.loads((folder / 'space.json').read_text())
    for name in ('vocabulary', 'prompts'):
        space[name] = np.fromfile(folder / f'{name}.f32', '<f4').reshape(-1, space['dModel'])
    return space


def cosine_distances(a, b):
    import numpy as np

    lengths = [np.sqrt(np.einsum('ij,ij->i', points, points)) for points in (a, b)]
    return 1 - (a / lengths[0][:, None]) @ b.T / lengths[1]


def euclidean_distances(a):
    import numpy as np

    return np.sqrt(np.stack([((a - row) ** 2).sum(1) for row in a]))


def mean_of(block, convention):
    import numpy as np

    return block.mean() if convention == 'published' else block[np.triu_indices(len(block), 1)].mean()


def grouped(labels, keys):
    """Row numbers of the labels that agree in the keys, group by group."""
    groups = {}
    for i, label in enumerate(labels):
        groups.setdefault(tuple(label[key] for key in keys), []).append(i)
    return list(groups.values())


def distance_numbers(space, metric, points, sample):
    import numpy as np

    distances, of_sample = [cosine_distances(p, p) if metric == 'cosine' else euclidean_distances(p) for p in (points, sample)]
    for matrix in (distances, of_sample):
        np.fill_diagonal(matrix, 0)
    labels, result = space['labels'], {}
    for convention in ('published', 'corrected'):
        means = [mean_of(distances[np.ix_(rows, rows)], convention)
                 for keys in (['word'], ['task'], ['task', 'word'], ['word', 'position'], ['task', 'position'])
                 for rows in grouped(labels, keys)]
        result[f'mean {metric} distances, {convention}'] = [*means, mean_of(distances, convention), mean_of(of_sample, convention)]
        blocks = [distances[np.ix_(rows, rows)] for rows in grouped(labels, ['word'])]
        pairs = combinations(blocks, 2)
        if convention == 'published':
            r = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs] + [1.0] * len(blocks)
        else:
            upper = np.triu_indices(len(blocks[0]), 1)
            r = [np.corrcoef(a[upper], b[upper])[0, 1] for a, b in pairs]
        result[f'correlations of {metric} distances, {convention}'] = [min(r), np.median(r), max(r)]
    return result


def neighbour_numbers(space, to_vocabulary, to_prompts):
    """All numbers about neighbourhoods from the distances [query, row]; a query has no distance (inf) from itself."""
    import numpy as np

    labels, init, epsilon = space['labels'], space['initRows'], space['epsilon']
    prompts, tokens = len(labels), space['randomTokens'] + init
    same = {key: np.array([[a[key] == b[key] for b in labels] for a in labels]) for key in ('word', 'task', 'position')}
    tasks = grouped(labels, ['task'])
    result = {'curve, vocabulary tokens': [(to_vocabulary[:prompts] < e).sum(1).mean() for e in space['epsilons']]}
    every = np.ones((prompts, prompts), bool)
    for name, related in {'prompts': every, **{f'same {key}': value for key, value in same.items()}}.items():
        result[f'curve, {name}'] = [((to_prompts[:prompts] < e) & related).sum(1).mean() for e in space['epsilons']]
    queries = np.arange(len(to_vocabulary))
    for convention in ('published', 'corrected'):
        published = convention == 'published'
        near_vocabulary, near_prompts = to_vocabulary < epsilon, to_prompts < epsilon
        if published:  # everything is its own neighbour, and the init words are in the pool twice
            near_vocabulary[queries[prompts:], tokens] = True
            near_prompts[queries[:prompts], queries[:prompts]] = True
        second = near_vocabulary[:, init].sum(1)
        vocabulary, among = near_vocabulary.sum(1) + published * second, near_prompts.sum(1)
        kinds = [vocabulary + among, vocabulary, among]
        own = [(near_prompts[:prompts] & same[key]).sum(1) for key in ('word', 'task', 'position')]
        result[f'counts around prompts, {convention}'] = np.stack(
            [kind[:prompts] for kind in kinds] + own + [second[:prompts]], 1).ravel()
        last = prompts + (len(tokens) if published else len(space['randomTokens']))
        result[f'counts around tokens, {convention}'] = np.stack([kind[prompts:last] for kind in kinds], 1).ravel()
        for name, rows in (('prompts', slice(0, prompts)), ('tokens', slice(prompts, last))):
            nearest_row = to_vocabulary[rows].min(1)
            result[f'nearest to {name}, {convention}'] = [
                number for nearest in (np.minimum(nearest_row, to_prompts[rows].min(1)), nearest_row)
                for number in nearest_numbers(nearest, epsilon if published else np.inf)]
        table = []
        for e in (space['tableEpsilon'], epsilon):
            near = to_prompts[:prompts] < e
            if published:
                np.fill_diagonal(near, True)
            table += [near[np.ix_(a, b)].sum() for a in tasks for b in tasks]
        result[f'counts between tasks, {convention}'] = table
    return result


def nearest_numbers(nearest, limit):
    within = nearest[nearest < limit]
    return [within.mean(), len(within), len(nearest) - len(within)]


def analyse(space, dtype):
    import numpy as np

    vocabulary, prompts = space['vocabulary'].astype(dtype), space['prompts'].astype(dtype)
    tokens = space['randomTokens'] + space['initRows']
    queries = np.vstack([prompts, vocabulary[tokens]])
    to_vocabulary, to_prompts = cosine_distances(queries, vocabulary), cosine_distances(queries, prompts)
    to_vocabulary[np.arange(len(prompts), len(queries)), tokens] = np.inf
    np.fill_diagonal(to_prompts, np.inf)
    sample = vocabulary[space['randomTokens']]
    return {
        **neighbour_numbers(space, to_vocabulary, to_prompts),
        **distance_numbers(space, 'cosine', prompts, sample),
        **distance_numbers(space, 'euclidean', prompts, sample),
    }


def loop(space):
    """Seconds of a pass over all pairs, one at a time, from as many of them as fit LOOP_SECONDS; and how many these were."""
    import numpy as np
    from scipy.spatial.distance import cosine

    vocabulary, prompts, epsilon = space['vocabulary'], space['prompts'], space['epsilon']
    pairs = (len(prompts) + 110) * (len(vocabulary) + 10 + len(prompts))
    rows = np.random.default_rng(0).permutation(len(vocabulary))
    near, done, since, used = 0, 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - since < LOOP_SECONDS:
        query = prompts[done % len(prompts)]
        for row in rows[done % len(rows):][:100]:
            near += cosine(query, vocabulary[row]) < epsilon
            done += 1
    elapsed = {'seconds': time.perf_counter() - since, 'cpuSeconds': time.process_time() - used}
    return {**{name: value / done * pairs for name, value in elapsed.items()}, 'sample': done, 'pairs': pairs}


def measure(method, folder):
    space = read_space(folder)
    if method == 'loop':
        return loop(space)
    since, used = time.perf_counter(), time.process_time()
    numbers = analyse(space, method)
    elapsed = {'seconds': time.perf_counter() - since, 'cpuSeconds': time.process_time() - used}
    plain = {name: [float(value) for value in values] for name, values in numbers.items()}
    return {**elapsed, 'numbers': plain, 'peakMemoryBytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def run(command):
    out = subprocess.run([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def differing(ours, theirs):
    """How many counts there are and how many differ; the largest difference of any number relative to its size."""
    if ours.keys() != theirs.keys() or any(len(ours[name]) != len(theirs[name]) for name in ours):
        raise SystemExit('analysis.ts and analysis.py name different numbers')
    pairs = [(name, *pair) for name in ours for pair in zip(ours[name], theirs[name])]
    counts = [abs(a - b) > 1e-9 for name, a, b in pairs if name.startswith(('counts', 'curve'))]
    return len(counts), sum(counts), max(abs(a - b) / max(1, abs(a)) for _, a, b in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--json')
    parser.add_argument('--measure', nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], pathlib.Path(options.measure[1]))))
        return
    methods = ('ours', 'float64', 'float32', 'loop')
    found = {method: [] for method in methods}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for method in methods:
                found[method].append(run(
                    ['node', '--import', 'tsx', 'bench/analysis.ts', folder] if method == 'ours'
                    else [sys.executable, __file__, '--measure', method, folder]))
    sample = found['loop'][0]
    names = {
        'ours': 'ours', 'float64': 'NumPy, double precision', 'float32': 'NumPy, single precision',
        'loop': f'a loop, extrapolated from {sample["sample"]:,} of {sample["pairs"]:,} pairs, one pass',
    }
    mean = {method: sum(one['seconds'] for one in found[method]) / options.rounds for method in methods}
    print('| method | seconds | times ours | CPU seconds | peak memory | counts unlike ours | largest difference |')
    print('|---|---|---|---|---|---|---|')
    wrong = False
    for method in methods:
        memory, unlike, largest = '', '', ''
        if method != 'loop':
            memory = f'{max(one["peakMemoryBytes"] for one in found[method]) / 1e9:.2f} GB'
        if method.startswith('float'):
            count, off, difference = differing(found['ours'][0]['numbers'], found[method][0]['numbers'])
            unlike, largest = f'{off} of {count}', f'{difference:.0e}'
            wrong |= method == 'float64' and not (off == 0 and difference < 1e-9)
        seconds, used = (', '.join(f'{one[key]:.3g}' for one in found[method]) for key in ('seconds', 'cpuSeconds'))
        print(f'| {names[method]} | {seconds} | {mean[method] / mean["ours"]:.2g} | {used} | {memory} | {unlike} | {largest} |')
    further = ', '.join(f'{one["further"]["seconds"]:.3g} s ({one["further"]["cpuSeconds"]:.3g} of CPU)' for one in found['ours'])
    print(f'\nOurs besides: t-SNE of the 240 prompts and a Mantel test with 999 permutations, {further}.')
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=1))
    if wrong:
        raise SystemExit('NumPy in double precision finds other numbers than ours')


if __name__ == '__main__':
    main()
