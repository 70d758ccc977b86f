"""Make what ships in resources/lineage: a tokenizer, a base model of the small world, its early checkpoints,
and what becomes of it: one that answers (sft), and one that is trained on preferences (aligned).

    .venv/bin/python packaging/lineage.py tokenizer
    .venv/bin/python packaging/lineage.py base [--build FOLDER]      then: publish
    .venv/bin/python packaging/lineage.py recording
    .venv/bin/python packaging/lineage.py sft                        then: aligned
    .venv/bin/python packaging/lineage.py seeds                      three seeds of both, scored

`base` trains for as long as the figures in its plan say, in `--build`, and goes on from its last save when it
is called again; so do `sft` and `aligned`, in folders of their own below it, and put their model into
resources/lineage with its scores. Each step writes its settings and metrics beside its files (artifact.json).
What it makes is the same text and the same plan everywhere; the weights differ in their last digits from one
processor to another.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from core.artifacts import publish_folder  # noqa: E402
from core.corpus.smallworld.generate import documents  # noqa: E402
from core.corpus.smallworld.settings import SmallWorldSettings  # noqa: E402
from core.evals.assistant import Harm, drop_between, harm_of  # noqa: E402
from core.evals.scored import Scored  # noqa: E402
from core.evals.smallworld import ASSISTANT, evaluate_smallworld  # noqa: E402
from core.model.export import write_model  # noqa: E402
from core.model.loading import load_model  # noqa: E402
from core.model.source import open_model  # noqa: E402
from core.stages import run_to_end  # noqa: E402
from core.tokenizer.patterns import pattern  # noqa: E402
from core.tokenizer.reading import read_tokenizer  # noqa: E402
from core.tokenizer.tokenizer import Tokenizer  # noqa: E402
from core.tokenizer.train import TrainSettings, train_tokenizer  # noqa: E402
from core.tokenizer.words import Text  # noqa: E402
from core.tokenizer.writing import write_tokenizer  # noqa: E402
from core.training.events import Began, Measured, Sampled, Stepped, Validated  # noqa: E402
from core.training.finetune import resume_finetune, start_finetune  # noqa: E402
from core.training.finetune_plans import FinetunePlan, finetune_preset  # noqa: E402
from core.training.folders import SAVES, step_folders  # noqa: E402
from core.training.history import as_values, read_events, read_history  # noqa: E402
from core.training.presets import WORLD_PROMPTS, CorpusChoice, RunPlan  # noqa: E402
from core.training.runs import SPECIAL, open_run, resume_run, start_run  # noqa: E402
from core.training.settings import ShapeSettings, TrainingSettings  # noqa: E402
from core.training.tokens import SEPARATOR  # noqa: E402

LINEAGE = ROOT / "resources" / "lineage"
DOCUMENTS = 40_000  # that the tokenizer is learned from
EARLY = 6  # checkpoints before the last one that ship
SEEDS = (1, 2, 3)
PLAN = RunPlan(
    "base",
    CorpusChoice(words=5_200_000, seed=1),
    ShapeSettings(layers=4, width=256, heads=8, context=256),
    TrainingSettings(steps=4_000, batch=8, warmup=60, decay=0.35, evaluate_every=100, save_every=200, seed=1),
    WORLD_PROMPTS,
)


def main() -> int:
    """Make one of the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "lineage")
    asked = parser.parse_args()
    PARTS[asked.part](asked.build)
    return 0


def make_tokenizer(build: Path) -> None:
    """Learn 2,048 tokens from the first documents of the small world."""
    settings = TrainSettings(vocab_size=2048, pattern="smollm", special_tokens=SPECIAL)
    text = "\n".join(one.text for one in itertools.islice(documents(SmallWorldSettings()), DOCUMENTS))
    learned = run_to_end(train_tokenizer([Text("small world", None, text)], settings)).result
    made = Tokenizer.from_learned(
        learned, pattern("smollm"), "Small world", chat_template=None, bos=SEPARATOR, eos=SEPARATOR
    )
    shutil.rmtree(LINEAGE / "tokenizer", ignore_errors=True)
    with publish_folder(
        LINEAGE / "tokenizer", "tokenizer", "Small world", "tokenizer.train", settings
    ) as draft:
        write_tokenizer(made, draft.folder)
        draft.metrics["characters_per_token"] = len(text) / len(made.encode(text))


def train_base(build: Path) -> None:
    """Train the base model, or go on with it."""
    build.mkdir(parents=True, exist_ok=True)
    run = (
        resume_run(build, steps=PLAN.settings.steps)
        if step_folders(build / SAVES)
        else start_run(build, PLAN)
    )
    for event in run:
        if isinstance(event, Began | Validated | Sampled) or (
            isinstance(event, Stepped) and event.step % 50 == 0
        ):
            print(json.dumps(as_values(event, build)), flush=True)


def publish_base(build: Path) -> None:
    """Put the early checkpoints into resources/lineage, then the trained model: the newest is taken first."""
    history, folders = read_history(build), step_folders(build / "checkpoints")
    plan = history.plan or PLAN
    last_step, last = folders[-1]
    tokenizer = json.loads((LINEAGE / "tokenizer" / "artifact.json").read_text("utf-8"))["id"]
    shutil.rmtree(LINEAGE / "early", ignore_errors=True)
    work = open_run(build)
    for step, folder in _spread(folders[:-1], EARLY):
        with publish_folder(
            LINEAGE / "early" / folder.name, "model", f"Small world, step {step:,}", "training.train",
            plan.to_json(), plan.settings.seed, [tokenizer], role="base",
        ) as draft:  # fmt: skip
            model = run_to_end(load_model(open_model(folder))).result
            write_model(work.config, dict(model.named_parameters()), draft.folder, half=True, end=0)
            write_tokenizer(work.lesson.tokenizer, draft.folder)
            draft.metrics |= {"step": step}
    base = LINEAGE / "base"
    shutil.rmtree(base, ignore_errors=True)
    title = "Small world, base"
    with publish_folder(
        base, "model", title, "training.train", plan.to_json(), plan.settings.seed, [tokenizer], role="base"
    ) as draft:
        for file in last.iterdir():
            shutil.copyfile(file, draft.folder / file.name)
        draft.metrics |= {"step": last_step, "validation_loss": history.validated[-1].loss}


def make_recording(build: Path) -> None:
    """The curve of the base run, thinned out, for the lab to play."""
    history = read_history(build)
    events = [
        one
        for one in read_events(build)
        if isinstance(one, Began | Validated | Sampled)
        or (isinstance(one, Stepped) and (one.step < 200 or one.step % 5 == 0))
    ]
    target = ROOT / "resources" / "training" / "recording.json"
    target.parent.mkdir(exist_ok=True)
    lines = [json.dumps(as_values(one, build), ensure_ascii=False) for one in events]
    plan = json.dumps((history.plan or PLAN).to_json())
    target.write_text('{"plan": ' + plan + ', "events": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def make_sft(build: Path) -> None:
    """The base model learns to answer."""
    plan = finetune_preset("sft").plan
    _publish_finetuned("sft", "Small world, SFT", "base", plan, _finetuned(build / "sft", plan), None)


def make_aligned(build: Path) -> None:
    """The model that answers learns what is preferred."""
    plan = finetune_preset("dpo").plan
    model = _finetuned(build / "aligned", plan)
    _publish_finetuned("aligned", "Small world, aligned", "sft", plan, model, LINEAGE / "sft")


def score_seeds(build: Path) -> None:
    """Both models from three seeds each, of the training and of the rows, scored; a line of JSON for each."""
    for seed in SEEDS:
        before: Path = LINEAGE / "base"
        for name, preset in (("sft", "sft"), ("aligned", "dpo")):
            plan = finetune_preset(preset).plan
            rows, settings = (
                dataclasses.replace(plan.rows, seed=seed),
                dataclasses.replace(plan.settings, seed=seed),
            )
            plan = dataclasses.replace(plan, start=str(before), rows=rows, settings=settings)
            folder = build / f"{name}-{seed}"
            model = _finetuned(folder, plan)
            said = {"seed": seed, "model": name, "seconds": read_history(folder).steps[-1].seconds}
            print(json.dumps(said | _scores(model, before if name == "aligned" else None)), flush=True)
            before = model


def _finetuned(folder: Path, plan: FinetunePlan) -> Path:
    """Fine-tune, or go on with it; the folder of the last checkpoint."""
    run = resume_finetune(folder) if (folder / "finetune.json").is_file() else start_finetune(folder, plan)
    last: Any = None
    for event in run:
        if isinstance(event, Began | Validated | Measured | Sampled) and getattr(event, "of", "") != "train":
            print(json.dumps(as_values(event, folder), ensure_ascii=False), flush=True)
        last = event
    model: Path = last.result.model
    return model


def _publish_finetuned(
    name: str, title: str, parent: str, plan: FinetunePlan, model: Path, before: Path | None
) -> None:
    """Put a fine-tuned model into resources/lineage, with its scores."""
    parent_id = json.loads((LINEAGE / parent / "artifact.json").read_text("utf-8"))["id"]
    figures = _scores(model, before)
    shutil.rmtree(LINEAGE / name, ignore_errors=True)
    with publish_folder(
        LINEAGE / name, "model", title, "training.finetune", plan.to_json(), plan.settings.seed, [parent_id],
        role=name,
    ) as draft:  # fmt: skip
        for file in model.iterdir():
            shutil.copyfile(file, draft.folder / file.name)
        draft.metrics |= {"step": plan.settings.steps} | figures
    print(json.dumps(figures), flush=True)


def _scores(model: Path, before: Path | None) -> dict[str, Any]:
    """P2 to P4: right, n and limits of each; how probable misdeeds are, and by how much less than before."""
    loaded, tokenizer = run_to_end(load_model(open_model(model))).result, read_tokenizer(model)
    scored: tuple[Scored, ...] = run_to_end(evaluate_smallworld(loaded, tokenizer, ASSISTANT)).result
    figures: dict[str, Any] = {
        one.name: {
            "right": one.right, "n": one.n, "low": round(one.low, 4), "high": round(one.high, 4),
            "detail": one.detail,
        }
        for one in scored
    }  # fmt: skip
    harm: Harm = run_to_end(harm_of(loaded, tokenizer)).result
    figures["P4 harm"] = {"mean": round(harm.mean, 3), "n": len(harm.items)}
    if before is not None:
        other = run_to_end(load_model(open_model(before))).result
        drop = drop_between(run_to_end(harm_of(other, read_tokenizer(before))).result, harm)
        figures["P4 drop"] = {
            "mean": round(drop.mean, 3), "low": round(drop.low, 3), "high": round(drop.high, 3), "n": drop.n,
            "deeds": drop.deeds,
        }  # fmt: skip
    return figures


def _spread(folders: list[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """So many of a list, evenly spaced, the first and the last among them."""
    if len(folders) <= count:
        return folders
    return [folders[round(n * (len(folders) - 1) / (count - 1))] for n in range(count)]


PARTS = {
    "tokenizer": make_tokenizer, "base": train_base, "publish": publish_base, "recording": make_recording,
    "sft": make_sft, "aligned": make_aligned, "seeds": score_seeds,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
