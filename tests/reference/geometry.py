"""Makes fixtures/geometry.json: distances, neighbourhoods, correlations and projections of small random points.

Run: python tests/reference/geometry.py

`space` is a vocabulary of 80 rows and a grid of 3 tasks x 4 words x 2 seeds x 2 positions of prompts, 12 numbers each.
The published convention is computed literally: a pool with the init rows twice, every point in its own pool.
"""
import json
import platform
from itertools import combinations
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness

HERE = Path(__file__).resolve().parent
TASKS = ["capital", "past", "plural"]
WORDS = ["cat", "dog", "book", "pen"]
SEEDS = [0, 1]
POSITIONS = [0, 1]
EPSILONS = [0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
generator = np.random.default_rng(20261123)


def rounded(values):
    """Four decimals, as the float32 that the TypeScript side reads."""
    return np.round(values, 4).astype(np.float32)


def make_space():
    vocabulary = rounded(generator.normal(size=(80, 12)) + 0.4)
    init_rows = [3, 17, 40, 79]
    task_shift = generator.normal(size=(3, 12))
    labels, rows = [], []
    for t, task in enumerate(TASKS):
        for w, word in enumerate(WORDS):
            for seed in SEEDS:
                for position in POSITIONS:
                    labels.append({"task": task, "word": word, "seed": seed, "position": position})
                    rows.append(vocabulary[init_rows[w]] + task_shift[t] + generator.normal(size=12))
    return vocabulary, init_rows, labels, rounded(np.array(rows))


def doubles(points):
    return points.astype(np.float64)


def both_means(block):
    n = len(block)
    upper = block[np.triu_indices(n, 1)]
    return {"published": float(block.mean()), "corrected": float(upper.mean())}


def group_means(distances, labels, keys):
    names = list(dict.fromkeys(tuple(label[key] for key in keys) for label in labels))
    groups = []
    for name in names:
        rows = [i for i, label in enumerate(labels) if tuple(label[key] for key in keys) == name]
        groups.append({**dict(zip(keys, name)), "points": len(rows), **both_means(distances[np.ix_(rows, rows)])})
    return groups


def comparison(distances, labels, keys):
    """Exactly one label varies in a group: one group for each seed, then the mean over the seeds."""
    per_seed = group_means(distances, labels, [*keys, "seed"])
    bars = {}
    for group in per_seed:
        bars.setdefault(tuple(group[key] for key in keys), []).append(group)
    return [
        {**dict(zip(keys, name)), **{c: float(np.mean([g[c] for g in groups])) for c in ("published", "corrected")}}
        for name, groups in bars.items()
    ]


def neighbourhoods(vocabulary, init_rows, labels, prompts, tokens, epsilon):
    vocabulary_and_again = np.vstack([vocabulary, vocabulary[init_rows]])
    count = len(vocabulary)
    result = {"epsilon": epsilon}
    for name, queries, own in (("prompts", prompts, None), ("tokens", vocabulary[tokens], tokens)):
        to_vocabulary = cdist(doubles(queries), doubles(vocabulary_and_again), "cosine")
        to_prompts = cdist(doubles(queries), doubles(prompts), "cosine")
        for block in (to_vocabulary, to_prompts):
            assert np.abs(block - epsilon).min() > 1e-6, "a distance too near the threshold for a fixture"
        near_vocabulary, near_prompts = to_vocabulary < epsilon, to_prompts < epsilon
        counts = {"published": {}, "corrected": {}}
        counts["published"]["vocabulary"] = near_vocabulary.sum(1)
        counts["published"]["prompts"] = near_prompts.sum(1)
        other_vocabulary, other_prompts = near_vocabulary[:, :count].copy(), near_prompts.copy()
        if own is None:
            np.fill_diagonal(other_prompts, False)
        else:
            other_vocabulary[np.arange(len(own)), own] = False
        counts["corrected"]["vocabulary"] = other_vocabulary.sum(1)
        counts["corrected"]["prompts"] = other_prompts.sum(1)
        if own is None:
            for kind, key in (("sameWord", "word"), ("sameTask", "task"), ("samePosition", "position")):
                same = np.array([[a[key] == b[key] for b in labels] for a in labels])
                counts["published"][kind] = (near_prompts & same).sum(1)
                counts["corrected"][kind] = (other_prompts & same).sum(1)
            for convention in counts:
                counts[convention]["initWords"] = near_vocabulary[:, count:].sum(1)
            result["taskCounts"] = {
                convention: [[int(near[np.ix_(rows_of(labels, a), rows_of(labels, b))].sum()) for b in TASKS]
                             for a in TASKS]
                for convention, near in (("published", near_prompts), ("corrected", other_prompts))
            }
        for values in counts.values():
            values["all"] = values["vocabulary"] + values["prompts"]
        result[name] = {c: {kind: v.tolist() for kind, v in values.items()} for c, values in counts.items()}
        # Nearest: anything but the point itself (and, among tokens, its second copy).
        masked_vocabulary, masked_prompts = to_vocabulary[:, :count].copy(), to_prompts.copy()
        if own is None:
            np.fill_diagonal(masked_prompts, np.inf)
        else:
            masked_vocabulary[np.arange(len(own)), own] = np.inf
        for among, matrix in (("vocabulary", masked_vocabulary), ("any", np.hstack([masked_vocabulary, masked_prompts]))):
            nearest = matrix.min(1)
            within = nearest[nearest < epsilon]
            result[name][f"nearest_{among}"] = {
                "published": {"mean": float(within.mean()), "with": len(within), "without": len(nearest) - len(within)},
                "corrected": {"mean": float(nearest.mean()), "with": len(nearest), "without": 0},
            }
    return result


def rows_of(labels, task):
    return [i for i, label in enumerate(labels) if label["task"] == task]


def word_correlations(distances, labels):
    result = {}
    order = {word: [i for i, label in enumerate(labels) if label["word"] == word] for word in WORDS}
    blocks = {word: distances[np.ix_(rows, rows)] for word, rows in order.items()}
    upper = np.triu_indices(12, 1)
    for convention in ("published", "corrected"):
        flat = {word: block.ravel() if convention == "published" else block[upper] for word, block in blocks.items()}
        pairs = [(a, b) for a, b in combinations(WORDS, 2)]
        result[convention] = [
            {"first": a, "second": b, "count": len(flat[a]), "r": float(pearsonr(flat[a], flat[b]).statistic),
             "p": float(pearsonr(flat[a], flat[b]).pvalue)} for a, b in pairs]
    return result


def pearson_cases():
    cases = []
    for count, noise in ((5, 1.0), (12, 0.5), (576, 30.0), (576, 0.9), (576, 0.325), (150, 0.1)):
        x = np.round(generator.normal(size=count), 4)
        y = np.round(-x + noise * generator.normal(size=count), 4)
        found = pearsonr(x, y)
        cases.append({"x": x.tolist(), "y": y.tolist(), "r": float(found.statistic), "p": float(found.pvalue)})
    return cases


def projections():
    centres = generator.normal(size=(10, 16))
    points = rounded(centres[np.arange(240) % 10] + 0.7 * generator.normal(size=(240, 16)))
    result = {"points": points.ravel().astype(float).round(4).tolist(), "dModel": 16, "tsne": {}}
    for start in ("pca", "random"):
        model = TSNE(metric="cosine", perplexity=30, init=start, method="exact", random_state=0).fit(points)
        result["tsne"][start] = {
            "divergence": float(model.kl_divergence_),
            "trustworthiness": float(trustworthiness(points, model.embedding_, n_neighbors=10, metric="cosine")),
        }
    plane = PCA(2, svd_solver="full").fit_transform(doubles(points))
    result["pca"] = plane.ravel().tolist()
    result["pcaTrustworthiness"] = float(trustworthiness(points, plane, n_neighbors=10, metric="cosine"))
    return result


def main():
    vocabulary, init_rows, labels, prompts = make_space()
    tokens = [5, 30, 17, 62, 71]
    matrices = {metric: cdist(doubles(prompts), doubles(prompts), metric) for metric in ("cosine", "euclidean")}
    sample = doubles(vocabulary[[0, 9, 22, 31, 58]])
    fixture = {
        "made with": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                      "scikit-learn": sklearn.__version__},
        "space": {"dModel": 12, "vocabulary": vocabulary.ravel().astype(float).round(4).tolist(),
                  "prompts": prompts.ravel().astype(float).round(4).tolist(), "labels": labels,
                  "initRows": init_rows, "tokens": tokens, "tasks": TASKS},
        "firstRows": {metric: matrix[:2].ravel().tolist() for metric, matrix in matrices.items()},
        "means": {metric: {
            "all": both_means(matrix),
            "word": group_means(matrix, labels, ["word"]),
            "task": group_means(matrix, labels, ["task"]),
            "betweenPositions": comparison(matrix, labels, ["task", "word"]),
            "betweenTasks": comparison(matrix, labels, ["word", "position"]),
            "betweenWords": comparison(matrix, labels, ["task", "position"]),
            "sample": both_means(cdist(sample, sample, metric)),
        } for metric, matrix in matrices.items()},
        "sampleRows": [0, 9, 22, 31, 58],
        "neighbourhoods": [neighbourhoods(vocabulary, init_rows, labels, prompts, tokens, epsilon)
                           for epsilon in (0.25, 0.5)],
        "curve": {"epsilons": EPSILONS, "counts": [
            [int((row < epsilon).sum()) for epsilon in EPSILONS]
            for row in cdist(doubles(prompts), doubles(vocabulary), "cosine")]},
        "correlations": word_correlations(matrices["cosine"], labels),
        "pearson": pearson_cases(),
        "projection": projections(),
    }
    path = HERE / "fixtures" / "geometry.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)
    for case in fixture["pearson"]:
        print(len(case["x"]), case["r"], case["p"])
    print([n["prompts"]["nearest_vocabulary"]["published"] for n in fixture["neighbourhoods"]])
    print([n["tokens"]["nearest_any"]["published"] for n in fixture["neighbourhoods"]])
    print(fixture["projection"]["tsne"], fixture["projection"]["pcaTrustworthiness"])


if __name__ == "__main__":
    main()
