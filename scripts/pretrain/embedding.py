"""First values of the token embeddings: tokens that look alike, are forms of one word or kinds of one thing start alike.

A small corpus shows most of GPT-2's 50 257 tokens rarely or never. Such rows stay about where they start, so
they start well: spread over all directions, with a word's forms and kin near it and nothing else.

How frequent a token is has its own coordinate, the last one. There the final norm gives the same value for every text
(its gain is 0, its bias FREQUENCY_BIAS), and a row's coordinate is its log frequency over that bias. Without it all
rare rows would have to lean against the mean activation to be unlikely, and would so all point the same way.
"""

import torch
import torch.nn.functional as F

ROOT_MEAN_SQUARE = 0.07
FREQUENCY_BIAS = 50.0
KIND_WEIGHTS = (0.65, 0.35)  # of the kind that a word's commonest sense is, and of that kind's kind
UNSEEN_COUNT = 0.5  # added to every count, so that a token never met is unlikely and not impossible


def features_of(token):
    """What a token looks like, which word it is a form of and what that is a kind of, with weights."""
    text = token["text"]
    body = text.strip()
    low = body.lower()
    features = {f"space {text[:1] == ' '}": 0.15}
    if not body:
        return {**features, f"blank {text}": 1.0}
    if not body[0].isalpha():
        kind = "number" if body.isdigit() else "broken" if "\ufffd" in body else "sign"
        return {**features, f"sign {body}": 0.8, f"kind {kind}": 0.15, f"first {body[0]}": 0.3}
    case = "upper" if body.isupper() and len(body) > 1 else "title" if body[0].isupper() else "lower"
    features.update({f"word {low}": 0.3, f"lemma {token['lemma'] or low}": 0.9, f"case {case}": 0.25})
    features.update({f"first {low[0]}": 0.3, f"prefix {low[:2]}": 0.2, f"suffix {low[-2:]}": 0.25})
    features.update({f"is a {kind}": weight for kind, weight in zip(token["kinds"], KIND_WEIGHTS)})
    if len(low) == 1:
        features["single letter"] = 0.3
    return features


def initial_embeddings(tokens, counts, width, seed):
    """[vocabulary, width]: features and some randomness, then log frequencies in the last column."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(tokens), width - 1, generator=generator) * 0.4
    vectors = {}
    for row, token in zip(rows, tokens):
        for feature, weight in features_of(token).items():
            if feature not in vectors:
                vectors[feature] = torch.randn(width - 1, generator=generator)
            row += weight * vectors[feature]
    spread = F.normalize(whitened(rows), dim=1) * ROOT_MEAN_SQUARE * width**0.5
    return torch.cat([spread, frequency_column(counts)[:, None]], dim=1)


def whitened(rows):
    """Centred, and with the same variance in every direction: no class of tokens has a direction of its own."""
    centred = rows - rows.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(rows))
    return centred @ directions / variances.sqrt()


def frequency_column(counts):
    """[vocabulary]: what the last coordinate must be for FREQUENCY_BIAS to make logits log frequencies."""
    logs = (counts + UNSEEN_COUNT).log()
    return (logs - logs.median()) / FREQUENCY_BIAS
