"""A model to a GGUF file in fewer bits, tensor after tensor: one event for each.

From a Hugging Face folder the tables are brought into GGUF's order (GPT-2's are turned, Llama's queries and
keys are paired anew); from a GGUF file they are taken as they lie, and those that have the type already are
copied byte for byte. No more than one tensor is in memory at a time.

Letters: R rows, C columns of a table; H heads, d the width of one.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.formats.blocks import dequantize
from core.formats.bounded_json import read_json
from core.formats.files import open_bounded
from core.formats.weights import WeightReader
from core.model.families import gguf_sources
from core.model.source import ModelSource, Piece
from core.problems import LabError
from core.quantization.blocks import Slice, Spread, quantize_rows
from core.quantization.kept import Kept, identity_of
from core.quantization.metadata import Entry, copied, of_model, of_recipe, of_tokenizer, rope_factors
from core.quantization.recipes import Choice, Named, Plan, Wish, make_plan
from core.quantization.writing import GgufFile
from core.stages import Finished, Progress
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer

ROPE = "rope_freqs.weight"


@dataclass(frozen=True)
class TensorDone:
    """A tensor is written.

    Attributes:
        index: Its place, from 0.
        count: Tensors in all.
        choice: Name, shape, type and why it has it.
        stored: The type that it had before.
        bytes: Of its data in the new file.
        error: Root mean square of the rounding errors against that of the weights; 0 where nothing changed.
        largest: The largest error of one weight.
        copied: Whether its bytes were copied, since the type is the same.
    """

    index: int
    count: int
    choice: Choice
    stored: str
    bytes: int
    error: float
    largest: float
    copied: bool


@dataclass(frozen=True)
class Quantized:
    """A model in fewer bits.

    Attributes:
        path: The file.
        plan: Types, bytes and bits per weight.
        tensors: What was done to each.
        file_bytes: Bytes of the whole file.
    """

    path: Path
    plan: Plan
    tensors: tuple[TensorDone, ...]
    file_bytes: int

    @property
    def round_trips(self) -> int:
        """How many tensors had their type before: their codes are the old ones, not a new rounding."""
        return sum(done.copied and done.choice.why != "kept" for done in self.tensors)


def plan_for(source: ModelSource, wish: Wish) -> Plan:
    """What a recipe would do to a model; nothing is read or written.

    Raises:
        LabError: No such recipe or type, or an override that fits no tensor.
    """
    return make_plan([job.tensor for job in _jobs(source)], source.config, wish)


def quantize_model(
    source: ModelSource,
    out: Path,
    wish: Wish,
    tokenizer: Tokenizer | None = None,
    importances: Mapping[str, Tensor] | None = None,
    adds_bos: bool = False,
    spread: Spread = map,
    keep: Path | None = None,
) -> Iterator[Progress | TensorDone | Finished[Quantized]]:
    """Write a model as a GGUF file.

    Args:
        source: From `open_model`.
        out: The file; nothing may be there.
        wish: Recipe and overrides.
        tokenizer: Of a folder; a GGUF file's own is copied with its metadata. None for a model without.
        importances: For a tensor's name in GGUF, how much each column counts, (C); tensors without are
            rounded as if there were none.
        adds_bos: Whether a text is to begin with the token for that; a GGUF file says it itself.
        spread: Works on several slices of a tensor, see `blocks.py`.
        keep: A folder of its own in which what is done stays when the stage is closed early, to be gone on
            with by the next call; on the disk of `out`. None keeps nothing.

    Raises:
        LabError: As `plan_for`; the file exists; the tokenizer cannot be written; while it runs: a number is
            not finite, or the disk refused. Nothing is left behind then.
    """
    importances = importances or {}
    wish = Wish(wish.recipe, wish.overrides, bool(importances))
    plan = plan_for(source, wish)
    if source.header is not None:
        entries = copied(source.header)
    else:
        entries = of_model(source.config, source.name)
        entries += of_tokenizer(tokenizer, source.config.vocab_size, adds_bos)
    if not out.parent.is_dir():
        raise LabError(f"The folder {out.parent} does not exist.", "Choose a folder that does.")
    kept = Kept(keep, identity_of(source, plan, importances) if keep is not None else "")
    file = GgufFile(out, kept.part)
    return _write(source, file, kept, out, plan, entries + of_recipe(plan.recipe), importances, spread)


@dataclass(frozen=True)
class _Job:
    """A tensor of the file to be.

    Attributes:
        tensor: Name and shape.
        piece: What it is read from; None for RoPE's factors, which are computed.
        paired: Heads whose rows are paired anew, or 0.
        verbatim: Whether it may be copied where the type stays.
    """

    tensor: Named
    piece: Piece | None
    paired: int
    verbatim: bool

    @property
    def stored(self) -> str:
        """The type that it has now."""
        return "F32" if self.piece is None else self.piece.stored.kind


def _jobs(source: ModelSource) -> list[_Job]:
    """All tensors of the file to be, in order."""
    config, family = source.config, source.family
    jobs, from_gguf = [], source.header is not None
    for parameter, pieces in source.parameters.items():
        heads = (config.heads, config.kv_heads, 0) if family.interleaved and len(pieces) == 3 else (0, 0, 0)
        for name, piece, paired in zip(gguf_sources(family, parameter), pieces, heads, strict=False):
            shape = piece.stored.shape[::-1] if piece.transposed else piece.stored.shape
            kept = piece.stored.kind if from_gguf else "F32"
            jobs.append(_Job(Named(name, shape, kept), piece, 0 if from_gguf else paired, from_gguf))
    factors = rope_factors(config)
    if factors is not None:
        jobs.append(_Job(Named(ROPE, tuple(factors.shape)), None, 0, False))
    return jobs


def _write(
    source: ModelSource,
    file: GgufFile,
    kept: Kept,
    out: Path,
    plan: Plan,
    entries: list[Entry],
    importances: Mapping[str, Tensor],
    spread: Spread,
) -> Iterator[Progress | TensorDone | Finished[Quantized]]:
    jobs, finished = _jobs(source), []
    buffer = torch.empty(max(job.tensor.numbers for job in jobs))
    done, total, doing = 0, plan.numbers, f"{source.name} to {plan.recipe.name}"
    with WeightReader() as reader, kept, file:
        file.begin(entries, [(c.tensor.name, c.tensor.shape, c.kind) for c in plan.choices])
        for index, (choice, job) in enumerate(zip(plan.choices, jobs, strict=True)):
            yield Progress(doing, done, total, "weights")
            raw = kept.raw(index)
            if raw is not None:
                was = kept.before[index]
                made = _Made(raw, was.error, was.largest, was.copied)
            else:
                rows = buffer[: job.tensor.numbers]
                stage = _make(reader, source, job, choice, rows, importances.get(job.tensor.name), spread)
                made = yield from _counted(stage, doing, done, total)
            kept.note(file.add(made.raw), made.raw, made.error, made.largest, made.copied)
            done += job.tensor.numbers
            facts = (index, len(jobs), choice, job.stored, len(made.raw), made.error, made.largest)
            finished.append(TensorDone(*facts, made.copied))
            yield finished[-1]
        file.finish()
        kept.forget()
    result = Quantized(out, plan, tuple(finished), out.stat().st_size)
    yield Finished(f"{plan.title}: {plan.bits_per_weight:.2f} bits a weight.", result)


@dataclass(frozen=True, eq=False)
class _Made:
    """The bytes of a tensor, and what rounding did to it; see `TensorDone`."""

    raw: Tensor
    error: float
    largest: float
    copied: bool


def _make(
    reader: WeightReader,
    source: ModelSource,
    job: _Job,
    choice: Choice,
    rows: Tensor,
    importance: Tensor | None,
    spread: Spread,
) -> Generator[Progress | int, None, _Made]:
    """Copy a tensor, or read and round it; tells how many of its weights are done."""
    if job.verbatim and job.stored == choice.kind and job.piece is not None:
        return _Made(_copy(job.piece), 0.0, 0.0, True)
    yield from _read(reader, source, job, rows)
    rows = rows.view(-1, job.tensor.shape[-1])
    raw, error, begin = torch.empty(choice.bytes, dtype=torch.uint8), _Error(), 0
    for made in quantize_rows(rows, choice.kind, importance, job.tensor.name, spread):
        end = begin + made.raw.numel()
        raw[begin:end] = made.raw.view(-1)
        begin = end
        error.add(rows, made, choice)
        yield made.begin * rows.shape[1]
    return _Made(raw, error.relative, error.largest, False)


def _counted(
    stage: Generator[Progress | int, None, _Made], doing: str, done: int, total: int
) -> Generator[Progress, None, _Made]:
    """The same, with weights counted from the first tensor on."""
    while True:
        try:
            told = next(stage)
        except StopIteration as end:
            made: _Made = end.value
            return made
        yield Progress(doing, done + told, total, "weights") if isinstance(told, int) else told


def _copy(piece: Piece) -> Tensor:
    """The bytes of a tensor as they stand in its file."""
    raw = torch.empty(piece.stored.size, dtype=torch.uint8)
    with open_bounded(piece.stored.path) as file:
        file.move_to(piece.stored.start)
        file.read_into(memoryview(raw.numpy().data))
    return raw


def _read(reader: WeightReader, source: ModelSource, job: _Job, out: Tensor) -> Iterator[Progress]:
    """Read a tensor as float32 in GGUF's order."""
    if job.piece is None:
        factors = rope_factors(source.config)
        if factors is not None:
            out.copy_(factors)
        return
    stored = job.piece.stored
    for read in reader.read(stored, out):
        yield Progress(f"Reading {stored.name}", read, stored.size, "bytes")
    table = out.view(stored.shape)
    if job.piece.transposed:
        out.copy_(table.t().reshape(-1))
    elif job.paired:
        halves = table.view(job.paired, 2, -1, *table.shape[1:])  # (H, 2, d/2, …): pairs lie half apart
        out.copy_(halves.transpose(1, 2).reshape(-1))


class _Error:
    """How far the rounded weights of a tensor lie from the true ones."""

    def __init__(self) -> None:
        self._squares = self._of_weights = 0.0
        self.largest = 0.0

    @property
    def relative(self) -> float:
        return math.sqrt(self._squares / self._of_weights) if self._of_weights else 0.0

    def add(self, rows: Tensor, made: Slice, choice: Choice) -> None:
        """Count some rows.

        Raises:
            LabError: A scale is beyond what 16 bits hold, so that the weights cannot be had back.
        """
        if choice.kind == "F32":
            return
        true = rows[made.begin : made.begin + len(made.raw)]
        back = torch.empty(true.shape)
        dequantize(made.raw.reshape(-1), choice.kind, back.view(-1))
        back -= true
        low, high = float(back.amin()), float(back.amax())
        if not math.isfinite(low + high):
            raise LabError(
                f"{choice.tensor.name} holds weights that are too large for {choice.kind}: a scale is beyond "
                "65,504.",
                "Choose BF16, or another checkpoint.",
            )
        self.largest = max(self.largest, -low, high)
        self._squares += float(torch.linalg.vector_norm(back)) ** 2
        self._of_weights += float(torch.linalg.vector_norm(true)) ** 2


def tokenizer_of(source: ModelSource) -> Tokenizer | None:
    """The tokenizer that is written with a model: that of its folder; None where its GGUF file has it.

    Raises:
        LabError: The folder has none that is read here.
    """
    return None if source.header is not None else read_tokenizer(source.path)


def begins_texts(source: ModelSource) -> bool:
    """Whether a model's files say that every text begins with the token for that (add_bos_token)."""
    if source.header is not None:
        return bool(source.header.value("tokenizer.ggml.add_bos_token", "bool"))
    config = source.path / "tokenizer_config.json"
    said = read_json(config) if config.is_file() else None
    return isinstance(said, dict) and said.get("add_bos_token") is True


def first_token(source: ModelSource, tokenizer: Tokenizer) -> int | None:
    """Id of the token that every window of a text begins with; None where the model's files ask for none."""
    if tokenizer.bos is None or not begins_texts(source):
        return None
    return tokenizer.special_tokens.get(tokenizer.bos)
