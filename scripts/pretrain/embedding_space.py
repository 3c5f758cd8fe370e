"""How the token embeddings lie: python embedding_space.py --model ../../data/model

Mean cosine distance between tokens of equal frequency, ε-neighbourhoods, and some nearest tokens.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel

from corpus import Corpus
from embedding import BAND_LIMITS, frequency_bands

BUILD = Path(__file__).parent / "build"
BAND_STEPS = 4000  # as in train.py
SHOWN = [" cat", " Paris", " walked", " seven", "cat", " interviewer", " Kyrgyzstan", "ãģ"]
EPSILON = 0.7


def describe(arguments):
    model = GPT2LMHeadModel.from_pretrained(arguments.model, dtype=torch.float32)
    rows = F.normalize(model.transformer.wte.weight.detach(), dim=1)
    vocabulary = json.loads((BUILD / "vocabulary.json").read_text())
    counts = torch.tensor(Corpus(3, 5, 1).expected_counts(BAND_STEPS), dtype=torch.float32)
    bands = frequency_bands(counts)
    generator = torch.Generator().manual_seed(0)
    norms = model.transformer.wte.weight.detach().norm(dim=1)
    limits = ["never", *[f"up to {limit:g}" for limit in BAND_LIMITS[1:]], f"over {BAND_LIMITS[-1]:g}"]
    for band, limit in enumerate(limits):
        members = (bands == band).nonzero()[:, 0]
        drawn = members[torch.randperm(len(members), generator=generator)[:500]]
        similarity = rows[drawn] @ rows[drawn].T
        pairs = ~torch.eye(len(drawn), dtype=torch.bool)
        print(
            f"met {limit}: {len(members)} tokens, mean cosine distance {1 - similarity[pairs].mean():.3f}, "
            f"mean norm {norms[members].mean():.3f}"
        )
    drawn = torch.randperm(len(rows), generator=generator)[:100]
    near = (rows[drawn] @ rows.T > 1 - EPSILON).sum(1) - 1
    print(f"100 random tokens: within {EPSILON}, {near.float().mean():.1f} others (median {near.median()})")
    for text in SHOWN:
        if text not in vocabulary:
            continue
        token = vocabulary.index(text)
        nearest = (rows @ rows[token]).topk(9).indices[1:].tolist()
        print(f"{text!r} (met {counts[token]:.0f} times): {[vocabulary[i] for i in nearest]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    describe(parser.parse_args())
