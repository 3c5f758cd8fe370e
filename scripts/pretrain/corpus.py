"""Reads the rows that build-corpus.ts wrote and deals them out, step by step, in a seeded order."""

import hashlib
import json
from pathlib import Path

import numpy

BUILD = Path(__file__).parent / "build"
ROW = 256
END_OF_TEXT = 50256
VALIDATION_ROWS = 128
IGNORED = -100


def read_rows(name, dtype=numpy.uint16):
    path = BUILD / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: build the corpus first (README.md)")
    return numpy.fromfile(path, dtype=dtype).reshape(-1, ROW)


def read_tokens():
    """A dictionary for each token: text, lemma (empty where it is no word) and kinds."""
    return json.loads((BUILD / "vocabulary.json").read_text())


def read_vocabulary():
    return [token["text"] for token in read_tokens()]


class Corpus:
    """The last rows of a seeded shuffle are kept back for validation."""

    def __init__(self, natural_per_batch, synthetic_per_batch, seed):
        self.seed = seed
        self.per_batch = {"natural": natural_per_batch, "synthetic": synthetic_per_batch}
        self.rows = {"natural": read_rows("natural.bin"), "synthetic": read_rows("synthetic.bin")}
        self.answers = {"synthetic": read_rows("synthetic-answers.bin", numpy.uint8)}
        self.orders = {name: self._shuffle(name, 0) for name in self.rows}
        self.validation = {name: self.orders[name][-VALIDATION_ROWS:] for name in self.rows}
        self.training = {name: self.orders[name][:-VALIDATION_ROWS] for name in self.rows}
        self._epoch_orders = {}

    def digest(self):
        """Tells one corpus, and one set of token features, from another."""
        parts = {name: rows.tobytes() for name, rows in self.rows.items()}
        parts["vocabulary"] = (BUILD / "vocabulary.json").read_bytes()
        return {name: hashlib.sha256(part).hexdigest()[:16] for name, part in parts.items()}

    def _shuffle(self, name, epoch):
        offset = {"natural": 0, "synthetic": 1}[name]
        return numpy.random.default_rng([self.seed, epoch, offset]).permutation(len(self.rows[name]))

    def _indices(self, name, step):
        """Row numbers of one step: a function of the step alone, so that training can go on anywhere."""
        count, training = self.per_batch[name], self.training[name]
        steps_per_epoch = len(training) // count
        epoch, place = divmod(step, steps_per_epoch)
        if self._epoch_orders.get(name, (None,))[0] != epoch:
            order = numpy.random.default_rng([self.seed, epoch + 1, len(name)]).permutation(len(training))
            self._epoch_orders[name] = (epoch, training[order])
        return self._epoch_orders[name][1][place * count : (place + 1) * count]

    def batch(self, step):
        """(token ids [row, 256], answer marks [row, 256])"""
        natural, synthetic = self._indices("natural", step), self._indices("synthetic", step)
        ids = numpy.concatenate([self.rows["natural"][natural], self.rows["synthetic"][synthetic]])
        marks = numpy.zeros(ids.shape, dtype=numpy.uint8)
        marks[len(natural) :] = self.answers["synthetic"][synthetic]
        return ids.astype(numpy.int64), marks

    def expected_counts(self, steps):
        """How often each token is met in so many steps."""
        counts = numpy.zeros(END_OF_TEXT + 1)
        for name, per_batch in self.per_batch.items():
            rows = self.rows[name][self.training[name]]
            occurrences = numpy.bincount(rows.reshape(-1), minlength=len(counts))
            counts += occurrences * (per_batch * steps / len(rows))
        return counts


def targets_of(ids):
    """The next tokens [row, 255]; the padding after an end of text is ignored."""
    targets = ids[:, 1:].copy()
    targets[(ids[:, 1:] == END_OF_TEXT) & (ids[:, :-1] == END_OF_TEXT)] = IGNORED
    return targets
