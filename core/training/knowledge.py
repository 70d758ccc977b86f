"""What the checkpoints of a run know of the small world, scored step by step and kept beside the run.

The phenomena P1 to P8 are asked by `core.evals.smallworld`. P9 is measured here: what a model loses on text
that it was trained on, against text that it never saw. Left out: fine-tuned models (P3, P4).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.artifacts import durable, plain_json
from core.evals.intervals import Z
from core.evals.scored import Answer, Scored
from core.evals.smallworld import evaluate_smallworld
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.reading import read_tokenizer
from core.training.batches import validation_batches
from core.training.folders import run_of
from core.training.tokens import open_tokens

BASE = ("P1", "P2", "P5", "P6", "P7", "P8")
BOOK = "knows.json"
FORMAT = 1
_GAP_TOKENS = 16_384  # of either text that are read for P9 at most
_GAP_BATCH = 8


@dataclass(frozen=True)
class Gap:
    """P9: the loss on text that was trained on, and on text that never was, of the same model.

    Attributes:
        read: Mean loss on text that it was trained on, nats a token.
        unread: The same on text that it never saw.
        read_n: Tokens of that.
        unread_n: Tokens of this.
        low: Lower limit of the difference, with 95 % confidence.
        high: Upper limit.
    """

    read: float
    unread: float
    read_n: int
    unread_n: int
    low: float
    high: float

    @property
    def size(self) -> float:
        """The difference, nats a token."""
        return self.unread - self.read

    @property
    def shown(self) -> bool:
        """Whether it is larger than chance explains."""
        return self.low > 0


@dataclass(frozen=True)
class Known:
    """What a checkpoint knows.

    Attributes:
        step: Of the checkpoint.
        most: Questions of each kind that were asked at most, or None for all.
        scored: The figures.
        gap: P9, where the text of the run is there.
    """

    step: int
    most: int | None
    scored: tuple[Scored, ...]
    gap: Gap | None = None


def score_steps(
    steps: Sequence[tuple[int, Path]], book: Path | None, most: int | None = None
) -> Iterator[Progress | Scored | Known | Finished[tuple[Known, ...]]]:
    """Score checkpoints one after another; figures come as they are known, a `Known` ends each checkpoint.

    Args:
        steps: Step and folder of each.
        book: Folder in which the figures are kept; those of an earlier scoring of the same step are replaced.
        most: Ask at most so many questions of each kind; None for all.

    Raises:
        LabError: There is nothing to score, or `most` is below 2. While it goes on: a checkpoint cannot be
            read or has too short a context, or the disk refused.
    """
    if not steps:
        raise LabError("There is no checkpoint to score.", "Train some steps first.")
    if most is not None and most < 2:
        raise LabError(f"At most {most} questions were to be asked.", "Choose 2 or more.")
    return _score(tuple(steps), book, most)


def _score(
    steps: tuple[tuple[int, Path], ...], book: Path | None, most: int | None
) -> Iterator[Progress | Scored | Known | Finished[tuple[Known, ...]]]:
    made = []
    for step, folder in steps:
        model = yield from pass_on(load_model(open_model(folder)))
        tokenizer = read_tokenizer(folder.parent if folder.suffix == ".safetensors" else folder)
        scored = yield from pass_on(evaluate_smallworld(model, tokenizer, BASE, most))
        gap = yield from _gap_of(model, run_of(folder))
        known = Known(step, most, scored, gap)
        if book is not None:
            keep_known(book, known)
        made.append(known)
        yield known
    yield Finished(f"{len(made):,} checkpoints are scored.", tuple(made))


def _gap_of(model: Transformer, run: Path | None) -> Generator[Progress, None, Gap | None]:
    """P9, where the tokens of the run are there."""
    if run is None or not (run / "tokens" / "tokens.json").is_file():
        return None
    tokens = open_tokens(run / "tokens")
    parts = [
        validation_batches(ids, model.config.context, _GAP_BATCH, _GAP_TOKENS)
        for ids in (tokens.train, tokens.validation)
    ]
    gap: Gap = yield from pass_on(measure_gap(model, *parts))
    return gap


def measure_gap(
    model: Transformer, read: Sequence[Tensor], unread: Sequence[Tensor]
) -> Iterator[Progress | Finished[Gap]]:
    """Measure P9.

    The limits are Welch's with a normal quantile, and take tokens as independent.

    Args:
        model: Which model.
        read: Sequences that it was trained on, each (B, T + 1).
        unread: Sequences that it never saw.
    """
    losses: list[Tensor] = []
    total, done = len(read) + len(unread), 0
    for batches in (read, unread):
        parts = []
        for batch in batches:
            with torch.inference_mode():
                logs = model(batch[:, :-1]).float().log_softmax(-1)  # (B, T, V)
                parts.append(-logs.gather(2, batch[:, 1:, None]).flatten())
            done += 1
            yield Progress("Reading old and new text", done, total, "batches")
        losses.append(torch.cat(parts).double())
    known, new = losses
    half = Z * math.sqrt(sum(float(part.var()) / len(part) for part in losses if len(part) > 1))
    size = float(new.mean() - known.mean())
    made = Gap(float(known.mean()), float(new.mean()), len(known), len(new), size - half, size + half)
    yield Finished(f"The gap is {size:.2f} nats a token.", made)


# The book


def read_known(book: Path) -> tuple[Known, ...]:
    """What was scored, by step; nothing where the book is missing or not one of ours."""
    try:
        value = plain_json.read_json(book / BOOK)
        rows = value["known"] if value["format"] == FORMAT else []
        known = [_from_values(row) for row in rows]
    except (LabError, KeyError, TypeError, AttributeError, ValueError):
        return ()
    return tuple(sorted(known, key=lambda one: one.step))


def keep_known(book: Path, known: Known) -> None:
    """Keep the figures of a step, in place of older ones.

    Raises:
        LabError: The disk refused.
    """
    durable.ensure_folder(book)
    kept = [one for one in read_known(book) if one.step != known.step]
    rows = [asdict(one) for one in sorted([*kept, known], key=lambda one: one.step)]
    plain_json.write_json(book / BOOK, {"format": FORMAT, "known": rows})


def _from_values(values: dict[str, Any]) -> Known:
    scored = []
    for row in values["scored"]:
        groups = tuple((str(name), int(right), int(n)) for name, right, n in row["groups"])
        examples = tuple(Answer(**one) for one in row["examples"])
        scored.append(Scored(**(row | {"groups": groups, "examples": examples})))
    gap = values["gap"]
    return Known(
        int(values["step"]), values["most"], tuple(scored), None if gap is None else Gap(**gap)
    )  # fmt: skip
