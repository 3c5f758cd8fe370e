"""Writes build/held-out.json: the test items of the four rule-like tasks, not to be given away by the corpus.

The split is the project's: numpy.random.default_rng(42).permutation(n), the first ceil(0.2 n) are tests.
"""

import json
import math
from pathlib import Path

import numpy

HERE = Path(__file__).parent
TASKS = HERE.parent.parent / "data" / "tasks"
RULES = ["present-past", "singular-plural", "capitalize_first_letter", "lowercase_first_letter"]


def test_rows(name):
    rows = json.loads((TASKS / f"{name}.json").read_text())
    order = numpy.random.default_rng(42).permutation(len(rows))
    return [rows[i] for i in order[: math.ceil(0.2 * len(rows))]]


if __name__ == "__main__":
    (HERE / "build").mkdir(exist_ok=True)
    held_out = {name: test_rows(name) for name in RULES}
    (HERE / "build" / "held-out.json").write_text(json.dumps(held_out, indent=1) + "\n")
    print({name: len(rows) for name, rows in held_out.items()})
