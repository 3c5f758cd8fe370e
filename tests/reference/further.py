"""Makes fixtures/further.json: analysis of variance, bootstrap means and principal components for the points of
fixtures/geometry.json.

Run: python tests/reference/further.py
"""
import json
import platform
from itertools import permutations, product
from pathlib import Path

import numpy as np
import scipy
import skbio
import sklearn
from scipy.spatial.distance import cdist
from skbio.stats.distance import DistanceMatrix, permanova
from sklearn.decomposition import PCA

HERE = Path(__file__).resolve().parent
SPACE = json.loads((HERE / "fixtures" / "geometry.json").read_text())["space"]
LABELS = SPACE["labels"]
FACTORS = ("word", "task", "position")


def points(values):
    return np.array(values, dtype=np.float32).astype(np.float64).reshape(-1, SPACE["dModel"])


PROMPTS, VOCABULARY = points(SPACE["prompts"]), points(SPACE["vocabulary"])
UNIT = PROMPTS / np.linalg.norm(PROMPTS, axis=1, keepdims=True)
COSINE = np.maximum(0, cdist(PROMPTS, PROMPTS, "cosine"))
np.fill_diagonal(COSINE, 0)


def names(labels, *keys):
    return ["/".join(str(label[key]) for key in keys) for label in labels]


def one_way(distances):
    """scikit-bio's PERMANOVA of each factor alone."""
    matrix = DistanceMatrix((distances + distances.T) / 2)
    return {factor: float(permanova(matrix, names(LABELS, factor), permutations=0)["test statistic"])
            for factor in FACTORS}


def sums_of_means(vectors, groups):
    """Classical analysis of variance: group sizes times squared distances of group means from the grand mean."""
    groups = np.array(groups)
    grand = vectors.mean(0)
    return float(sum((groups == g).sum() * ((vectors[groups == g].mean(0) - grand) ** 2).sum() for g in set(groups)))


def split_plot(sum_of, total, labels):
    """Sums of squares of the terms, and F of the factors against their stratum."""
    word, task, position = (sum_of(names(labels, factor)) for factor in FACTORS)
    runs = sum_of(names(labels, "task", "word", "seed"))
    levels = [len({label[factor] for label in labels}) - 1 for factor in FACTORS]
    count_runs = len(set(names(labels, "task", "word", "seed")))
    between, within = runs - word - task, total - runs - position
    free_between = count_runs - 1 - levels[0] - levels[1]
    free_within = len(labels) - count_runs - levels[2]
    f = [word / levels[0] / (between / free_between), task / levels[1] / (between / free_between),
         position / levels[2] / (within / free_within)]
    return {"sums": [word, task, position, between, within, total], "freedom": [*levels, free_between, free_within],
            "pseudoF": f}


def gower_sum(distances):
    """McArdle and Anderson: tr(H G), G the centred matrix of -d²/2, H the projection on the groups' means."""
    n = len(distances)
    centre = np.eye(n) - 1 / n
    gower = centre @ (-0.5 * distances**2) @ centre

    def sum_of(groups):
        design = (np.array(groups)[:, None] == np.array(sorted(set(groups)))[None]).astype(float)
        return float(np.trace(design @ np.linalg.pinv(design) @ gower))

    return sum_of, float(np.trace(gower))


def exact(rows):
    """p and mean R² over all restricted permutations of a small grid, on unit vectors."""
    labels, vectors = [LABELS[i] for i in rows], UNIT[rows]
    total = float(((vectors - vectors.mean(0)) ** 2).sum())
    result = {"rows": rows}
    for factor, unit, block in (("word", ("task", "word", "seed"), ("task", "seed")),
                                ("task", ("task", "word", "seed"), ("word", "seed")),
                                ("position", ("task", "word", "seed", "position"), ("task", "word", "seed"))):
        units = list(dict.fromkeys(names(labels, *unit)))
        members = {u: [i for i, name in enumerate(names(labels, *unit)) if name == u] for u in units}
        blocks = {}
        for u in units:
            blocks.setdefault(names([labels[members[u][0]]], *block)[0], []).append(u)
        level = {u: labels[members[u][0]][factor] for u in units}
        sums = []
        for choice in product(*(list(permutations(block)) for block in blocks.values())):
            groups = [None] * len(rows)
            for block, order in zip(blocks.values(), choice):
                for to, come in zip(block, order):
                    for i in members[come]:
                        groups[i] = str(level[to])
            sums.append(sums_of_means(vectors, groups))
        observed = sums_of_means(vectors, names(labels, factor))
        sums = np.array(sums)
        result[factor] = {"permutations": len(sums), "p": float((sums >= observed - 1e-12 * total).mean()),
                          "chance": float(sums.mean() / total), "share": observed / total}
    return result


def resampled(word_draws, task_draws):
    """Mean distances of a literal resample: copies of words and tasks, copies of one another never paired."""
    words = list(dict.fromkeys(label["word"] for label in LABELS))
    tasks = list(dict.fromkeys(label["task"] for label in LABELS))
    copies = [(wc, tc, i) for wc, w in enumerate(word_draws) for tc, t in enumerate(task_draws)
              for i, label in enumerate(LABELS) if label["word"] == words[w] and label["task"] == tasks[t]]
    by_class = {}
    for a, (wa, ta, i) in enumerate(copies):
        for wb, tb, j in copies[a + 1:]:
            if (wa != wb and word_draws[wa] == word_draws[wb]) or (ta != tb and task_draws[ta] == task_draws[tb]):
                continue
            same = tuple(LABELS[i][key] == LABELS[j][key] for key in ("word", "task", "seed", "position"))
            by_class.setdefault(same, []).append(COSINE[i, j])
    counts = {}
    for i, a in enumerate(LABELS):
        for b in LABELS[i + 1:]:
            same = tuple(a[key] == b[key] for key in ("word", "task", "seed", "position"))
            counts[same] = counts.get(same, 0) + 1

    def mean(chosen):
        own = [same for same in counts if chosen(same)]
        return float(sum(counts[s] * np.mean(by_class[s]) for s in own) / sum(counts[s] for s in own))

    return {"words": word_draws, "tasks": task_draws, "sameWord": mean(lambda s: s[0]),
            "sameTask": mean(lambda s: s[1]), "all": mean(lambda s: True)}


def cleaned():
    pca = PCA(4, svd_solver="full").fit(VOCABULARY)
    variants = []
    upper = np.triu_indices(len(LABELS), 1)
    pairs = {key: np.array([LABELS[i][key] == LABELS[j][key] for i, j in zip(*upper)]) for key in ("word", "task")}
    for k in range(4):
        top = pca.components_[:k]

        def clean(x):
            centred = x - VOCABULARY.mean(0)
            return centred - centred @ top.T @ top

        distances = cdist(clean(PROMPTS), clean(PROMPTS), "cosine")[upper]
        tokens = cdist(clean(VOCABULARY[:9]), clean(VOCABULARY[:9]), "cosine")[np.triu_indices(9, 1)]
        variants.append({"removed": k, "sameWord": float(distances[pairs["word"]].mean()),
                         "sameTask": float(distances[pairs["task"]].mean()), "allPrompts": float(distances.mean()),
                         "tokens": float(tokens.mean())})
    return {"shares": pca.explained_variance_ratio_.tolist(), "components": pca.components_.ravel().tolist(),
            "variants": variants}


def main():
    sum_of, total = gower_sum(COSINE)
    small = [i for i, label in enumerate(LABELS)
             if label["word"] != "pen" and label["task"] != "plural" and label["seed"] == 0]
    fixture = {
        "made with": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                      "scikit-bio": skbio.__version__, "scikit-learn": sklearn.__version__},
        "oneWay": {"cosine": one_way(COSINE), "chord": one_way(np.sqrt(2 * COSINE))},
        "chord": split_plot(lambda groups: sums_of_means(UNIT, groups), float(((UNIT - UNIT.mean(0)) ** 2).sum()), LABELS),
        "cosine": split_plot(sum_of, total, LABELS),
        "exact": exact(small),
        "resamples": [resampled([0, 1, 2, 3], [0, 1, 2]), resampled([0, 0, 3, 0], [1, 1, 2]), resampled([2, 1, 2, 1], [0, 2, 0])],
        "cleaned": cleaned(),
    }
    path = HERE / "fixtures" / "further.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)
    print(fixture["exact"], fixture["resamples"], fixture["chord"], fixture["oneWay"])


if __name__ == "__main__":
    main()
