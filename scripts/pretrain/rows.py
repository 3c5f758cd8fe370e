"""The token embeddings in training: each row is a part of its own and a vector that all forms of its word share.

So what a text teaches about `trees` is known of `tree` too. The finished model has plain rows, the sums.
"""

import math

import torch

OWN_RATE = 0.25  # of the learning rate, for a token's own part
# A token expected to be met no more often than this goes by itself: else it would follow its word wherever that goes.
SHARING_COUNT = 30
SHORTEST = 3  # letters of a word with forms; shorter ones are mostly pieces of words


def words_of(tokens, counts):
    """[vocabulary]: the number of each token's word; one of its own if it is rare or no word."""
    numbers, words = {}, []
    for number, (token, count) in enumerate(zip(tokens, counts.tolist())):
        is_shared = len(token["lemma"]) >= SHORTEST and count > SHARING_COUNT
        words.append(numbers.setdefault(token["lemma"] if is_shared else number, len(numbers)))
    return torch.tensor(words)


class RowAdam:
    """Adam for some rows of a matrix. Only the rows of a step move: a rare one rests until it is met again."""

    def __init__(self, rows, betas=(0.9, 0.98), epsilon=1e-8):
        self.rows, self.betas, self.epsilon = rows, betas, epsilon
        self.mean, self.square = torch.zeros_like(rows), torch.zeros_like(rows)

    def step(self, places, gradient, learning_rate, step):
        first, second = self.betas
        mean = self.mean[places].lerp_(gradient, 1 - first)
        square = self.square[places].lerp_(gradient * gradient, 1 - second)
        self.mean[places], self.square[places] = mean, square
        size = learning_rate * math.sqrt(1 - second ** (step + 1)) / (1 - first ** (step + 1))
        self.rows[places] -= size * mean / (square.sqrt() + self.epsilon)

    def state(self):
        return self.rows, self.mean, self.square

    def take_up(self, state):
        for mine, saved in zip(self.state(), state):
            mine.copy_(saved)


class SharedRows:
    """Rows [vocabulary, width] as own parts [vocabulary, width] and words' vectors [word, width], zero at first."""

    def __init__(self, rows, words):
        self.words = words
        self.own = RowAdam(rows.clone())
        self.shared = RowAdam(torch.zeros(int(words.max()) + 1, rows.shape[1]))

    def of(self, tokens):
        return self.own.rows[tokens] + self.shared.rows[self.words[tokens]]

    def step(self, tokens, gradient, learning_rate, step):
        words, places = self.words[tokens].unique(return_inverse=True)
        of_words = torch.zeros(len(words), gradient.shape[1]).index_add_(0, places, gradient)
        of_words[:, -1] = 0  # how frequent it is, a token has for itself (embedding.py)
        self.own.step(tokens, gradient, OWN_RATE * learning_rate, step)
        self.shared.step(words, of_words, learning_rate, step)
