"""Make resources/finetuning/experiments.json: the recorded runs of the Fine-tuning lab's experiments.

    OMP_NUM_THREADS=1 .venv/bin/python packaging/experiments.py [--build FOLDER] [--steps N]

Every arm of `core/training/arms.py` with every seed, one after another, and the models that they begin with.
What is done already is read from `--build`, so that a stop costs one run at most. Some 20 minutes on one
core; the same everywhere but for the last digits.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.artifacts import plain_json  # noqa: E402
from core.stages import run_to_end  # noqa: E402
from core.training.arms import ARMS, BATCH, SEEDS, STEPS, plan_of  # noqa: E402
from core.training.experiments import ArmRun, Looked, measure_model, run_arm  # noqa: E402
from core.training.finetune import start_path  # noqa: E402

TARGET = ROOT / "resources" / "finetuning" / "experiments.json"
STARTS = ("base", "sft", "aligned")


def start_values(build: Path, name: str) -> dict[str, Any]:
    """What a shipped model would answer."""
    file = build / f"{name}.json"
    if not file.is_file():
        looked: Looked = run_to_end(measure_model(start_path(name), name)).result
        made = ArmRun(name, 0, (looked,), {}, (), 0.0)
        plain_json.write_json(file, made.to_json())
    return dict(json.loads(file.read_text("utf-8")))


def run_values(build: Path, arm: str, seed: int, steps: int) -> dict[str, Any]:
    """A run of an arm."""
    file = build / f"{arm}-{seed}.json"
    if not file.is_file():
        folder = build / "run"
        shutil.rmtree(folder, ignore_errors=True)
        made: ArmRun = run_to_end(run_arm(folder, arm, seed, steps)).result
        plain_json.write_json(file, made.to_json())
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{arm}, seed {seed}: {made.seconds:.0f} s of training", flush=True)
    return dict(json.loads(file.read_text("utf-8")))


def main() -> None:
    """Run what is missing, then write the recording."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "experiments")
    parser.add_argument("--steps", type=int, default=STEPS)
    asked = parser.parse_args()
    asked.build.mkdir(parents=True, exist_ok=True)
    starts = {name: start_values(asked.build, name) for name in STARTS}
    runs = [run_values(asked.build, arm, seed, asked.steps) for seed in SEEDS for arm in ARMS]
    TARGET.parent.mkdir(exist_ok=True)
    said = {
        "command": "OMP_NUM_THREADS=1 .venv/bin/python packaging/experiments.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "settings": {"steps": asked.steps, "batch": BATCH, "seeds": list(SEEDS)},
        "plans": {arm: plan_of(arm, SEEDS[0], asked.steps).to_json() for arm in ARMS},
        "starts": starts, "runs": runs,
    }  # fmt: skip
    TARGET.write_text(json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
