"""Asks a model by title, untuned: python ask.py MODEL_FOLDER, after npm run questions.

Whether it knows how a form is written ("plural of the plural"), finds it from the word ("plural of the singular"), and
does what is asked instead of what the word is mostly met with ("copy of the singular").
"""

import collections
import json
import sys

import torch
from transformers import GPT2LMHeadModel

from corpus import BUILD, END_OF_TEXT, read_vocabulary

NEW_TOKENS = 6
SHOWN = 8  # wrong answers


@torch.no_grad()
def answers_of(model, texts):
    """The greedy continuations of equally long texts, as lists of tokens."""
    ids = torch.tensor(texts)
    for _ in range(NEW_TOKENS):
        hidden = model.transformer(ids).last_hidden_state[:, -1:]
        ids = torch.cat([ids, model.lm_head(hidden).argmax(-1)], dim=1)
    return ids[:, len(texts[0]):].tolist()


def first_line(tokens, vocabulary):
    ended = tokens[: tokens.index(END_OF_TEXT)] if END_OF_TEXT in tokens else tokens
    return "".join(vocabulary[token] for token in ended).split("\n")[0].strip()


def ask(folder):
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    questions, vocabulary = json.loads((BUILD / "questions.json").read_text()), read_vocabulary()
    by_length = collections.defaultdict(list)
    for question in questions:
        by_length[len(question["text"])].append(question)
    found = collections.defaultdict(list)
    for group in by_length.values():
        for question, tokens in zip(group, answers_of(model, [question["text"] for question in group])):
            found[question["question"], question["isHeldOut"]].append((question, first_line(tokens, vocabulary)))
    for (name, is_held_out), answers in sorted(found.items()):
        right = sum(question["answer"] == said for question, said in answers)
        other = sum(question["other"] == said for question, said in answers)
        wrong = [f"{question['input']}: {said}" for question, said in answers if question["answer"] != said]
        print(f"{name}, {'held out' if is_held_out else 'told'}: {right} of {len(answers)} right, "
              f"{other} the word's other form; {', '.join(wrong[:SHOWN])}")


if __name__ == "__main__":
    ask(sys.argv[1])
