"""Muon for the matrices of the transformer blocks: momentum, then a step with all singular values near one.

Method: Keller Jordan and others, 2024 (https://kellerjordan.github.io/posts/muon/). Written anew, for stacked
layers.
"""

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic iteration given there
STEPS = 5


def orthogonalize(squares):
    """[matrix, d, d] -> the nearest matrices with singular values near one."""
    a, b, c = NEWTON_SCHULZ
    x = squares / (squares.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon:
    """One group holds the same weight of every layer, so that a step is a few batched matrix products."""

    def __init__(self, groups, weight_decay=0.01):
        self.groups = groups
        self.weight_decay = weight_decay
        self.momentum = [torch.zeros(len(group), *group[0].shape) for group in groups]

    @torch.no_grad()
    def step(self, learning_rate):
        for group, momentum in zip(self.groups, self.momentum):
            gradient = torch.stack([weight.grad for weight in group])
            momentum.lerp_(gradient, 0.05)
            update = self._orthogonal_update(torch.lerp(gradient, momentum, 0.95))
            for weight, change in zip(group, update):
                weight.mul_(1 - learning_rate * self.weight_decay).add_(change, alpha=-learning_rate)
                weight.grad = None

    @staticmethod
    def _orthogonal_update(update):
        is_tall = update.shape[1] > update.shape[2]
        wide = update.mT if is_tall else update
        layers, height, width = wide.shape
        blocks = width // height  # query, key, value; or the four quarters of the feed-forward matrix
        squares = wide.reshape(layers, height, blocks, height).permute(0, 2, 1, 3).reshape(-1, height, height)
        squares = orthogonalize(squares).reshape(layers, blocks, height, height)
        wide = squares.permute(0, 2, 1, 3).reshape(layers, height, width)
        return wide.mT if is_tall else wide
