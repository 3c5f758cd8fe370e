"""Perplexity of a 3-gram model on held-out text, to hold the model's against: python kneser_ney.py [--rows 400]

Interpolated modified Kneser-Ney (Chen and Goodman 1998, section 3) over GPT-2 tokens, trained on exactly the
corpus of the model. Held out: the Brown corpus in rows of 256 tokens; as of the model, each row's first token is not asked for.
"""

import argparse
import json

import numpy

from corpus import BUILD, ROW, read_rows

VOCABULARY = 50257


def held_out_rows(count):
    """[count, 256]: evenly spaced rows of the Brown corpus."""
    tokens = numpy.fromfile(BUILD / "brown.bin", dtype=numpy.uint16)
    rows = tokens[: len(tokens) // ROW * ROW].reshape(-1, ROW)
    return rows[numpy.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


class Order:
    """One order of the model: counts of n-grams, and per context what is discounted from them."""

    def __init__(self, codes, counts):
        self.codes, self.counts = codes, counts
        n1, n2, n3, n4 = (int((counts == n).sum()) for n in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2)
        self.discounts = numpy.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        discounted = self.discounts[numpy.minimum(counts, 3)]
        self.contexts, places = numpy.unique(codes // VOCABULARY, return_inverse=True)
        self.totals = numpy.bincount(places, weights=counts)
        self.left = numpy.bincount(places, weights=discounted) / self.totals

    def probability(self, codes, lower):
        """[n]: of each n-gram's last token after its context; `lower` are the probabilities one order below."""
        contexts = codes // VOCABULARY
        place = find(self.contexts, contexts)
        is_known = place >= 0
        found = find(self.codes, codes)
        counts = numpy.where(found >= 0, self.counts[found], 0)
        own = (counts - self.discounts[numpy.minimum(counts, 3)]) / self.totals[place]
        return numpy.where(is_known, own + self.left[place] * lower, lower)


def find(ordered, wanted):
    """[n]: places of `wanted` in `ordered`, −1 where it is not there."""
    place = numpy.minimum(numpy.searchsorted(ordered, wanted), len(ordered) - 1)
    return numpy.where(ordered[place] == wanted, place, -1)


def continuations(codes, size):
    """How many different tokens stand before each shorter n-gram."""
    return numpy.unique(codes % VOCABULARY**size, return_counts=True)


def train(tokens):
    tokens = tokens.astype(numpy.int64)
    trigrams = (tokens[:-2] * VOCABULARY + tokens[1:-1]) * VOCABULARY + tokens[2:]
    codes, counts = numpy.unique(trigrams, return_counts=True)
    bigrams = continuations(codes, 2)
    return Order(codes, counts), Order(*bigrams), Order(*continuations(bigrams[0], 1))


def log_probabilities(model, rows):
    """[row, 255]: natural logarithms, each token after the two before it (the second one after one)."""
    trigram, bigram, unigram = model
    rows = rows.astype(numpy.int64)
    last = rows[:, 1:]
    p1 = unigram.probability(last.ravel(), 1 / VOCABULARY)
    p2 = bigram.probability((rows[:, :-1] * VOCABULARY + last).ravel(), p1).reshape(last.shape)
    codes = (rows[:, :-2] * VOCABULARY + rows[:, 1:-1]) * VOCABULARY + rows[:, 2:]
    p3 = trigram.probability(codes.ravel(), p2[:, 1:].ravel()).reshape(codes.shape)
    return numpy.log(numpy.concatenate([p2[:, :1], p3], axis=1))


def main(arguments):
    training = {"natural": read_rows("natural.bin").ravel()}
    training["natural and written"] = numpy.concatenate([*training.values(), read_rows("synthetic.bin").ravel()])
    rows = held_out_rows(arguments.rows)
    results = {}
    for name, tokens in training.items():
        loss = -log_probabilities(train(tokens), rows).mean()
        results[name] = {"tokens": len(tokens), "loss": loss, "perplexity": float(numpy.exp(loss))}
    print(json.dumps({"rows": len(rows), "kneser_ney": results}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400, help="rows of 256 tokens to measure on")
    main(parser.parse_args())
