"""Makes fixtures/logit-lens/: hidden states and logit lens of the prompts of fixtures/gpt2-*/ as transformers gives them.

Run from anywhere: python tests/reference/logit_lens.py   (versions: requirements.txt; format: README.md; seconds)
"""
import json
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

FIXTURES = Path(__file__).resolve().parent / "fixtures"
MODELS = ("one-head", "odd-heads", "deep-half", "wide-bfloat", "many-heads")


def lens(folder):
    """States [layers + 1, position, dModel] before the last norm, and lens logits, entropies and top tokens of them."""
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    prompt = load_file(folder / "expected.safetensors")["prompts"]
    last = []
    model.transformer.h[-1].register_forward_hook(lambda module, inputs, output: last.append(
        output[0] if isinstance(output, tuple) else output))
    with torch.no_grad():
        output = model(inputs_embeds=prompt.unsqueeze(0), output_hidden_states=True)
        # transformers' last hidden state is behind the last norm; the others are before it.
        states = torch.stack([state[0] for state in output.hidden_states[:-1]] + [last[0][0]])
        assert torch.equal(model.transformer.ln_f(last[0]), output.hidden_states[-1])
        logits = model.lm_head(model.transformer.ln_f(states))
        assert (logits[-1] - output.logits[0]).abs().max() <= 1e-5
    return states, logits


def main():
    torch.set_num_threads(1)
    arrays, expected = {}, {}
    for name in MODELS:
        states, logits = lens(FIXTURES / f"gpt2-{name}")
        distribution = torch.distributions.Categorical(logits=logits.double())
        best = logits.topk(6).values
        gap = float((best[..., :-1] - best[..., 1:]).min())
        arrays.update({f"{name}.states": states, f"{name}.logits": logits, f"{name}.entropy": distribution.entropy()})
        expected[name] = {"top": logits.topk(5).indices.tolist(), "smallestGap": gap}
        print(name, list(logits.shape), "smallest gap of the best six logits", gap)
    folder = FIXTURES / "logit-lens"
    folder.mkdir(exist_ok=True)
    save_file({key: value.float().contiguous() for key, value in arrays.items()}, folder / "expected.safetensors")
    versions = {module.__name__: module.__version__ for module in (torch, transformers, safetensors)}
    (folder / "expected.json").write_text(json.dumps({"versions": versions, "models": expected}) + "\n")


if __name__ == "__main__":
    main()
