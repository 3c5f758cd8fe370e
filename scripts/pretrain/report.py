"""Prints the tables of data/model/README.md from build/run: python report.py build/run/accuracy*.json"""

import json
import sys
from pathlib import Path

BUILD = Path(__file__).parent / "build"


def training_table():
    report = json.loads((BUILD / "run" / "training.json").read_text())
    print(f"{report['steps']} steps, {report['tokens'] / 1e6:.1f} million tokens; {report['never met']} tokens never met;")
    print(f"validation loss: natural {report['validation loss, natural']:.3f},")
    print(f"synthetic {report['validation loss, synthetic']:.3f} (nats a token, whole vocabulary)\n")
    print("| step | training loss | answer tokens alone |\n|---|---|---|")
    wanted = {250, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, report["steps"]}
    for step, loss, answers in report["curve"]:
        if step in wanted:
            print(f"| {step} | {loss:.2f} | {answers:.2f} |")


def accuracy_table(files):
    results = [result for file in files for result in json.loads(Path(file).read_text())]
    words = list(dict.fromkeys(result["word"] for result in results))
    print(f"\n| task (test items) | rate | steps | untuned: {', '.join(words)} | tuned | test loss | distance |")
    print("|---|---|---|---|---|---|---|")
    for task, rate in dict.fromkeys((result["task"], result["rate"]) for result in results):
        rows = [result for result in results if (result["task"], result["rate"]) == (task, rate)]
        columns = {name: ", ".join(f"{row[name]:.2f}" for row in rows) for name in ("untuned", "tuned", "loss", "moved")}
        first = rows[0]
        print(
            f"| {task} ({first['test']}) | {rate} | {first['steps']} | {columns['untuned']} | {columns['tuned']} "
            f"| {columns['loss']} | {columns['moved']} |"
        )


if __name__ == "__main__":
    training_table()
    if len(sys.argv) > 1:
        accuracy_table(sys.argv[1:])
