"""Which output rows a training step compares."""

import math

import torch
import torch.nn.functional as F

from corpus import IGNORED

FREQUENT, RANDOM, CANDIDATES = 600, 300, 1536  # output rows compared in each step
RARE = 20  # a token is rare if it is expected to be met no more often than this


class Sampler:
    """Sampled softmax: frequent tokens and the batch's own, each in proportion, stand for the vocabulary.

    Some random rare tokens are added, which teach the blocks what not to say but are not moved themselves: a row
    moves only with texts that hold its token or a form of its word. It is then pulled to those texts and pushed from
    the mean of all texts with weights that fit, so that rare rows do not drift together.
    """

    def __init__(self, counts, tokens_per_step, seed):
        frequency = counts / counts.sum()
        self.seed = seed
        self.frequent = torch.topk(frequency, FREQUENT).indices
        self.rare = (counts <= RARE).nonzero()[:, 0]
        inclusion = 1 - torch.exp(-tokens_per_step * frequency)
        inclusion[self.frequent] = 1
        self.log_inclusion = inclusion.clamp(min=1e-9).log()
        self.log_drawn = math.log(RANDOM / len(self.rare))
        self.place = torch.full((len(counts),), IGNORED)

    def draw(self, ids, step):
        """(candidate tokens, how many of them learn, log inclusion probabilities, place of each id)"""
        own = torch.cat([self.frequent, ids.reshape(-1)]).unique()
        generator = torch.Generator("cpu").manual_seed(self.seed * 1_000_003 + step)
        drawn = self.rare[torch.randint(len(self.rare), (RANDOM,), generator=generator, device="cpu").unique()]
        drawn = drawn[~torch.isin(drawn, own)][: max(0, CANDIDATES - len(own))]
        padding = max(0, CANDIDATES - len(own) - len(drawn))  # one shape, so that one compiled step does
        log_inclusion = torch.cat([self.log_inclusion[own], torch.full((len(drawn),), self.log_drawn)])
        self.place[own] = torch.arange(len(own))
        return torch.cat([own, drawn]), len(own), F.pad(log_inclusion, (0, padding), value=1e4), self.place[ids]
