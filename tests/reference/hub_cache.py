"""Makes fixtures/hub-cache.json: the cache that huggingface_hub writes, from the test hub on this machine.

Also checks both directions: what lib/hub downloads, Python finds and transformers loads; what Python downloads,
lib/hub finds. Run: python tests/reference/hub_cache.py   (needs node and `npm ci`; asks no other machine)
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ID = "someone/tiny-gpt2"
NODE = ["node", "--import", "tsx"]

FIND = f"""
import huggingface_hub, transformers
print(huggingface_hub.snapshot_download({ID!r}, local_files_only=True))
huggingface_hub.hf_hub_download({ID!r}, "config.json", local_files_only=True)
cache = huggingface_hub.scan_cache_dir()
assert not cache.warnings and [repo.repo_id for repo in cache.repos] == [{ID!r}], cache
assert len(next(iter(next(iter(cache.repos)).revisions)).files) == 5
model = transformers.GPT2LMHeadModel.from_pretrained({ID!r}, local_files_only=True)
assert model.transformer.wte.weight.shape == (3000, 32)
"""
FETCH = f"""
import huggingface_hub
print(huggingface_hub.snapshot_download({ID!r}, allow_patterns=["config.json", "*.safetensors", "*.index.json"]))
"""


def run(command, home, **extra):
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_TOKEN": "", **extra}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def layout(home):
    """Every file of the repository's refs, snapshots and blobs: a link's target, a reference's text, a blob's length."""
    repository = home / "hub" / ("models--" + ID.replace("/", "--"))
    found = {}
    for part in ("refs", "snapshots", "blobs"):
        for path in sorted((repository / part).rglob("*")):
            name = str(path.relative_to(repository))
            if path.is_symlink():
                found[name] = os.readlink(path)
            elif path.is_file():
                found[name] = path.read_text() if part == "refs" else path.stat().st_size
    return found


with tempfile.TemporaryDirectory() as folder:
    ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"
    with subprocess.Popen([*NODE, "tests/hub-serve.ts", ID], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as server:
        hub = {"HF_ENDPOINT": server.stdout.readline().strip(), "HF_HUB_OFFLINE": ""}
        model = json.loads(run([*NODE, "tests/hub-process.ts", ID], ours, **hub))
        run([sys.executable, "-c", FETCH], theirs, **hub)
        server.stdin.close()
    assert run([sys.executable, "-c", FIND], ours) == model["folder"]
    found = json.loads(run([*NODE, "tests/hub-process.ts", ID], theirs, HF_HUB_OFFLINE="1"))
    assert found["commit"] == model["commit"]
    expected = layout(theirs)
    assert layout(ours) == expected, (layout(ours), expected)

import huggingface_hub, transformers  # noqa: E402  only their versions; the caches above are those of sub-processes

fixture = {"versions": {"huggingface_hub": huggingface_hub.__version__, "transformers": transformers.__version__},
           "layout": expected}
(HERE / "fixtures" / "hub-cache.json").write_text(json.dumps(fixture, indent=1) + "\n")
print(f"both find what the other downloaded; {len(expected)} entries are the same")
