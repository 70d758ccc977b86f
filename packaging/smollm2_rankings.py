"""Make resources/finetuning/smollm2.json: what 52 shipped rankings change in SmolLM2's answers.

    .venv/bin/python packaging/smollm2_rankings.py [--build FOLDER] [--plain]

With --plain it makes smollm2_plain.json: without the NLL term of the better answer, and three passes.
DPO with LoRA on resources/finetuning/short_answers.jsonl, which prefer one plain sentence to an opening full
of praise. The same questions, none of them in the rankings, are asked before and after.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.stages import run_to_end  # noqa: E402
from core.training.events import Stepped  # noqa: E402
from core.training.finetune import start_finetune  # noqa: E402
from core.training.finetune_folders import finetuned_checkpoints  # noqa: E402
from core.training.finetune_plans import SMOLLM2, FinetunePlan, smollm2_plan  # noqa: E402
from core.training.history import read_history  # noqa: E402
from core.training.speakers import answer, open_speaker  # noqa: E402

FOLDER = ROOT / "resources" / "finetuning"
PROMPTS = (
    "What is the capital of France?", "Why is the grass green?", "How do I make coffee?",
    "What is a planet?", "How do I sleep better?", "Why do dogs bark?", "What is a story?",
    "How do I draw a circle?",
)  # fmt: skip
TOKENS = 60


def answers(place: str) -> list[str]:
    """The most probable answers."""
    speaker = run_to_end(open_speaker(place)).result
    return [run_to_end(answer(speaker, prompt, TOKENS)).result for prompt in PROMPTS]


def train(folder: Path, plan: FinetunePlan) -> float:
    """Run the plan; seconds of the whole run."""
    began = time.perf_counter()
    for event in start_finetune(folder, plan):
        if isinstance(event, Stepped):
            print(event.step, round(event.loss, 3), round(time.perf_counter() - began), flush=True)
    return time.perf_counter() - began


def main() -> None:
    """Ask, train, ask again, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "smollm2")
    parser.add_argument("--plain", action="store_true", help="without the NLL term")
    asked = parser.parse_args()
    shutil.rmtree(asked.build, ignore_errors=True)
    made = smollm2_plan(nll=0.0, passes=3) if asked.plain else smollm2_plan()
    plan = dataclasses.replace(made, prompts=())
    seconds = train(asked.build, plan)
    before, after = answers(SMOLLM2), answers(str(finetuned_checkpoints(asked.build)[-1][1]))
    history = read_history(asked.build)
    last: dict[str, Any] = history.measured[-1].values if history.measured else {}
    shown = dataclasses.replace(plan, rows=dataclasses.replace(plan.rows, path="short_answers.jsonl"))
    said = {
        "command": f".venv/bin/python packaging/smollm2_rankings.py{' --plain' if asked.plain else ''}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "plan": shown.to_json(),
        "seconds": round(seconds, 1), "training_seconds": round(history.steps[-1].seconds, 1),
        "processors": len(os.sched_getaffinity(0)),
        "last": {name: round(value, 4) for name, value in last.items()},
        "loss": [[one.step, round(one.loss, 4)] for one in history.steps], "tokens": TOKENS,
        "answers": [list(row) for row in zip(PROMPTS, before, after, strict=True)],
    }  # fmt: skip
    target = FOLDER / ("smollm2_plain.json" if asked.plain else "smollm2.json")
    target.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
