"""First values of the token embeddings, and how rare tokens are kept from falling into one direction.

A small corpus shows most of GPT-2's 50 257 tokens rarely or never. Pushed away one by one as wrong answers,
such rows all end up pointing the same way. So: tokens that look alike start alike (letters, case, leading
space), and a rare token is never pushed alone; all tokens of one frequency band share one offset vector, which
takes the push.
"""

import torch
import torch.nn.functional as F

ROOT_MEAN_SQUARE = 0.06
BAND_LIMITS = (0.5, 4.5, 20.5, 100.5)  # expected occurrences in training; more frequent tokens have no offset


def features_of(text):
    """What a token looks like, with weights."""
    body = text.strip()
    low = body.lower()
    features = {f"space {text[:1] == ' '}": 0.3}
    if not body:
        return {**features, "blank": 1.0}
    if not body[0].isalpha():
        kind = "number" if body.isdigit() else "broken" if "\ufffd" in body else "sign"
        return {**features, f"kind {kind}": 0.4, f"first {body[0]}": 0.5, f"length {min(len(body), 5)}": 0.2}
    case = "upper" if body.isupper() and len(body) > 1 else "title" if body[0].isupper() else "lower"
    features.update({f"word {low}": 1.0, f"first {low[0]}": 0.5, f"prefix {low[:2]}": 0.25})
    features.update({f"suffix {low[-2:]}": 0.3, f"suffix3 {low[-3:]}": 0.3, f"case {case}": 0.45})
    if len(low) == 1:
        features["single letter"] = 0.5
    return features


def initial_embeddings(vocabulary, width, seed):
    """[vocabulary, width]: random rows plus the vectors of their features, all of one length."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(vocabulary), width, generator=generator) * 0.7
    vectors = {}
    for row, text in zip(rows, vocabulary):
        for feature, weight in features_of(text).items():
            if feature not in vectors:
                vectors[feature] = torch.randn(width, generator=generator)
            row += weight * vectors[feature]
    return F.normalize(rows, dim=1) * ROOT_MEAN_SQUARE * width**0.5


def frequency_bands(expected_counts):
    """[vocabulary] -> 0 for tokens never met ... len(BAND_LIMITS) for tokens that need no help."""
    return torch.bucketize(expected_counts, torch.tensor(BAND_LIMITS))


def with_offsets(embeddings, offsets, bands):
    """The embeddings that the model really uses: each row plus the offset of its band."""
    return embeddings + band_offsets(offsets)[bands]


def band_offsets(offsets):
    return torch.cat([offsets, offsets.new_zeros(1, offsets.shape[1])])
