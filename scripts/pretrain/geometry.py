"""How token embeddings lie: python geometry.py MODEL_FOLDER (figures of `npm run model-card`, while training)"""

import sys

import numpy
from safetensors.numpy import load_file

from corpus import read_vocabulary

SHOWN = [" cat", " Paris", " walked", " seven", "cat", " interviewer"]


def describe(rows, vocabulary, seed=0):
    rows = rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    random = numpy.random.default_rng(seed)
    hundred = rows[random.permutation(len(rows))[:100]]
    pairs = ~numpy.eye(100, dtype=bool)
    print(f"mean cosine distance of 100 random rows: {1 - (hundred @ hundred.T)[pairs].mean():.3f}")
    thousand = random.permutation(len(rows))[:1000]
    similarity = rows[thousand] @ rows.T
    near = (similarity > 0.3).sum(1) - 1
    print(f"neighbours within 0.7 of 1000 random rows: median {numpy.median(near):.0f}, "
          f"quarters {numpy.percentile(near, [25, 75, 95])}")
    inner = numpy.triu(similarity[:, thousand], 1)
    print("pairs nearer than 0.1:", [
        (vocabulary[thousand[i]], vocabulary[thousand[j]]) for i, j in zip(*numpy.nonzero(inner > 0.9))])
    for text in SHOWN:
        token = vocabulary.index(text)
        nearest = numpy.argsort(-(rows @ rows[token]))[1:10]
        print(repr(text), (rows @ rows[token] > 0.3).sum() - 1, [vocabulary[i] for i in nearest])


if __name__ == "__main__":
    name = "transformer.wte.weight"
    describe(load_file(f"{sys.argv[1]}/model.safetensors")[name].astype("float32"), read_vocabulary())
