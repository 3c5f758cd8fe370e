"""Puts a finished training into data/model: python export.py build/run. Then `npm run model-card` fills in the card."""

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODEL = HERE.parent.parent / "data" / "model"


def main(run):
    report = run / "model" / "training.json"
    if not report.exists():
        raise SystemExit(f"{report} is missing: the training has not ended")
    training = json.loads(report.read_text())
    for name in ("config.json", "model.safetensors", "training.json"):
        shutil.copyfile(run / "model" / name, MODEL / name)
    (MODEL / "card.json").unlink(missing_ok=True)
    (MODEL / "README.md").write_text((HERE / "model-readme.md").read_text().format(
        seed=training["seed"], steps=training["steps"], tokens=training["tokens"], never=training["never met"],
        natural=training["validation loss, natural"], synthetic=training["validation loss, synthetic"],
    ))
    print(f"wrote {MODEL}; now: npm run model-card")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
