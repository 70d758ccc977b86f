"""Make resources/finetuning/adapter: LoRA of rank 8 beside the shipped base model, trained to answer.

    OMP_NUM_THREADS=1 .venv/bin/python packaging/adapter.py [--build FOLDER]

The plan of the preset "sft" with rank 8 on all matrices, 80 steps and ten times the rate. Its config names
the model "base", which every copy of LLM Lab has.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.stages import run_to_end  # noqa: E402
from core.training.adapters import CONFIG, TENSORS  # noqa: E402
from core.training.finetune import start_finetune  # noqa: E402
from core.training.finetune_plans import finetune_preset, with_values  # noqa: E402

TARGET = ROOT / "resources" / "finetuning" / "adapter"
CHANGES = {
    "rank": 8, "alpha": 16.0, "targets": "all", "steps": 80, "rate": 2e-3, "rows": 2_560,
    "evaluate_every": 80, "save_every": 80, "warmup": 5,
}  # fmt: skip


def main() -> None:
    """Train, then keep the adapter."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "adapter")
    asked = parser.parse_args()
    shutil.rmtree(asked.build, ignore_errors=True)
    plan = with_values(finetune_preset("sft").plan, CHANGES)
    made = run_to_end(start_finetune(asked.build, dataclasses.replace(plan, prompts=()))).result
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for name in (CONFIG, TENSORS, "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(made.model / name, TARGET / name)
    said = json.loads((TARGET / CONFIG).read_text("utf-8"))
    said["base_model_name_or_path"] = "base"
    (TARGET / CONFIG).write_text(json.dumps(said, indent=1) + "\n", "utf-8")
    print(f"held-out loss {made.validation_loss:.3f}, {(TARGET / TENSORS).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
