"""Makes fixtures/random.json: NumPy's default_rng for several seeds, and the paper's splits.

Run: python tests/reference/random_numbers.py   (not called random.py, which would hide Python's own module)
"""
import hashlib
import json
import math
from pathlib import Path

import numpy

HERE = Path(__file__).resolve().parent
SEEDS = [0, 1, 42, 2**32 - 1, 2**32, 2**53 - 1, [], [0], [7, 1], [1, 2, 3, 4], [2**40, 5, 0, 9, 2**33 + 1, 3],
         list(b"present_past")]
HIGHS = [1, 2, 3, 10, 1000, 50257, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**40, 3 * 2**51, 2**53 - 1]
SIZES = [2, 3, 5, 10, 11, 100, 101, 197, 205, 293, 813, 814, 836, 1000, 50257]


def stream(seed):
    """Every kind of draw in turn, so that the buffered half of 64 bits is met in every state."""
    generator = numpy.random.default_rng(seed)
    return {
        "seed": seed,
        "uniform": [generator.random() for _ in range(5)],
        "integers": [[high, int(generator.integers(high))] for high in HIGHS + HIGHS[::-1]],
        "permutation": generator.permutation(23).tolist(),
        "mixed": [value for high in (7, 2**35, 9) for value in (int(generator.integers(high)), generator.random())],
        "short": [generator.permutation(count).tolist() for count in range(6)],
        "last": int(generator.integers(2**53 - 1)),
    }


def digest(numbers):
    return hashlib.sha256(",".join(map(str, numbers)).encode()).hexdigest()


def rejected():
    """Many draws from ranges where Lemire's method rejects some: 3 of 10 in 32 bits, one in 2 000 in 64."""
    generator = numpy.random.default_rng(2026)
    return [{"high": high, "draws": draws, "sha256": digest([int(generator.integers(high)) for _ in range(draws)])}
            for high, draws in ((3 * 10**9, 200), (8998411751665721, 20000))]


def split(count, seed):
    order = numpy.random.default_rng(seed).permutation(count).tolist()
    tests = math.ceil(count / 5)
    return {"count": count, "seed": seed, "testCount": tests, "firstTest": order[0], "firstTrain": order[tests],
            "testSha256": digest(order[:tests]), "trainSha256": digest(order[tests:])}


fixture = {
    "versions": {"numpy": numpy.__version__},
    "streams": [stream(seed) for seed in SEEDS],
    "rejected": rejected(),
    "splits": [split(count, seed) for count in SIZES for seed in (42, 7)],
}
text = json.dumps(fixture).replace('{"seed"', '\n{"seed"').replace('{"count"', '\n{"count"')
(HERE / "fixtures" / "random.json").write_text(text + "\n")
