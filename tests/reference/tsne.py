"""Makes fixtures/tsne.json: three sets of points and what scikit-learn's TSNE makes of them by cosine distance.

Run: python tests/reference/tsne.py

`digits` are scikit-learn's first 340 images of handwritten digits, `wine` its 178 wines (each column standardised),
`prompts` a mixture in the shape of the paper: 6 tasks x 10 words x 4 positions and 100 lone points.
TSNE with metric='precomputed' gets the cosine distances and squares them itself, as it does with metric='cosine'.
Both its methods: 'exact', and 'barnes_hut', its default, which the paper's authors used.
"""
import json
import platform
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits, load_wine
from sklearn.manifold import TSNE, trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities

HERE = Path(__file__).resolve().parent
PERPLEXITY = 30
NEIGHBOURS = 10
SEEDS = range(3)
generator = np.random.default_rng(20261124)


def mixture(d_model=16):
    words, tasks = generator.normal(size=(10, d_model)), 0.6 * generator.normal(size=(6, d_model))
    grid = words[None, :, None] + tasks[:, None, None] + 0.5 * generator.normal(size=(6, 10, 4, d_model))
    return np.vstack([grid.reshape(-1, d_model), generator.normal(size=(100, d_model))])


def data_sets():
    wine = load_wine().data
    return {
        "digits": load_digits().data[:340],
        "wine": ((wine - wine.mean(0)) / wine.std(0)).round(3),
        "prompts": mixture().round(3),
    }


def divergence(distances, embedding):
    """Kullback-Leibler divergence of a picture, every pair computed; the probabilities are scikit-learn's."""
    n = len(distances)
    upper = np.triu_indices(n, 1)
    p = _joint_probabilities((distances ** 2).astype(np.float32), PERPLEXITY, 0)
    kernel = 1 / (1 + cdist(embedding, embedding, "sqeuclidean")[upper])
    q = kernel / (2 * kernel.sum())
    # scipy's condensed form, as `upper` orders the pairs: each stands for two
    return float(2 * (p * np.log(p / q)).sum())


def main():
    fixture = {
        "made with": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                      "scikit-learn": sklearn.__version__},
        "perplexity": PERPLEXITY, "neighbours": NEIGHBOURS, "sets": {},
    }
    for name, points in data_sets().items():
        # float32, as the TypeScript side reads them
        doubles = points.astype(np.float32).astype(np.float64)
        distances = cdist(doubles, doubles, "cosine")
        np.fill_diagonal(distances, 0)
        runs = []
        for method in ("exact", "barnes_hut"):
            for seed in SEEDS:
                model = TSNE(metric="precomputed", perplexity=PERPLEXITY, init="random", method=method, random_state=seed)
                # a copy: it squares the distances in place
                embedding = model.fit_transform(distances.copy()).astype(np.float64).round(4)
                runs.append({
                    "method": method, "seed": seed, "reported": float(model.kl_divergence_),
                    "divergence": divergence(distances, embedding), "trustworthiness": float(
                        trustworthiness(distances, embedding, n_neighbors=NEIGHBOURS, metric="precomputed")),
                    **({"embedding": embedding.ravel().tolist()} if (method, seed) == ("exact", 0) else {}),
                })
        numbers = points.ravel().tolist()
        fixture["sets"][name] = {
            "dModel": points.shape[1],
            "points": [int(x) if x == int(x) else x for x in numbers], "scikit-learn": runs,
        }
        for run in runs:
            print(name, *[run[key] for key in ("method", "seed", "reported", "divergence", "trustworthiness")])
    path = HERE / "fixtures" / "tsne.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
