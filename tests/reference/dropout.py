"""Makes fixtures/dropout.json: mean and standard deviation, over many masks, of loss and prompt gradient with GPT-2's dropout.

Run from anywhere: python tests/reference/dropout.py   (versions: requirements.txt; the model is that of gpt2.py; a few minutes)
It prints by how many standard errors of a test with 600 masks each kind of dropout, left out, would be noticed.
"""
import json

import torch

from gpt2 import FIXTURES, batch_loss, rounded, versions, with_prompt
from safetensors.torch import load_file

FOLDER = FIXTURES / "gpt2-odd-heads"
RATE = 0.3
MASKS = 3000
TESTED = 600  # masks that the test draws
KINDS = ("embd_pdrop", "attn_pdrop", "resid_pdrop")


def set_rates(model, rates):
    """The rates of the places where GPT-2 drops: embeddings, attention weights, outputs of attention and MLP."""
    transformer = model.get_base_model().transformer
    transformer.drop.p = rates["embd_pdrop"]
    for block in transformer.h:
        block.attn.attn_dropout.p = rates["attn_pdrop"]
        block.attn.resid_dropout.p = block.mlp.dropout.p = rates["resid_pdrop"]
    assert not any(isinstance(module, torch.nn.Dropout) for module in model.prompt_encoder.modules())


def moments(rates, examples, prompt, masks):
    """Loss [masks] and gradient [masks, numbers of the prompt], each batch under masks of its own."""
    torch.manual_seed(1)
    model, weight = with_prompt(FOLDER, prompt)
    set_rates(model, rates)
    model.train()
    losses, gradients = [], []
    for _ in range(masks):
        weight.grad = None
        loss = batch_loss(model, examples)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(weight.grad.flatten().clone())
    return torch.stack(losses).double(), torch.stack(gradients).double()


def noticed(values, others):
    """Largest difference of the means in standard errors of a mean over TESTED masks."""
    return float(((values.mean(0) - others.mean(0)).abs() / (others.std(0) / TESTED**0.5)).max())


if __name__ == "__main__":
    torch.set_num_threads(1)
    expected = json.loads((FOLDER / "expected.json").read_text())
    examples = [expected["examples"][index] for index in expected["batch"]["indices"]]
    prompt = load_file(FOLDER / "expected.safetensors")["prompts"]
    losses, gradients = moments({kind: RATE for kind in KINDS}, examples, prompt, MASKS)
    for kind in KINDS:
        other = moments({**{k: RATE for k in KINDS}, kind: 0.0}, examples, prompt, MASKS // 5)
        print(f"without {kind}: loss {noticed(losses, other[0]):.1f}, gradient {noticed(gradients, other[1]):.1f} standard errors; "
              f"standard deviation of the loss {other[0].std() / losses.std():.2f} times")
    result = {
        "versions": versions(), "model": FOLDER.name, "rate": RATE, "masks": MASKS,
        "loss": {"mean": rounded(losses.mean()), "deviation": rounded(losses.std())},
        "gradient": {"mean": [rounded(x) for x in gradients.mean(0)], "deviation": [rounded(x) for x in gradients.std(0)]},
    }
    (FIXTURES / "dropout.json").write_text(json.dumps(result) + "\n")
