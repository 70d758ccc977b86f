"""Lessons of fine-tuning: imitate demonstrations, or prefer the better of two answers.

Every batch is drawn from the rows in passes, each in an order of its own, a pure function of seed and step.
It is cut into parts of pieces of about equal length, so that little is filled up; what a part weighs makes
the sum the same as if nothing had been cut.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.model.export import write_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.writing import write_tokenizer
from core.training import processes
from core.training.adapters import write_adapter
from core.training.answers import Pairs, of_comparisons, of_demonstrations, read
from core.training.finetune_settings import FinetuneSettings
from core.training.lessons import Lesson, LessonFacts, Measures, Weighed
from core.training.lora import Adapter, adapter_of, new_adapter, with_adapter
from core.training.objectives import sums
from core.training.pieces import Padded, Piece, Pieces, Two, padded, prompt_ids
from core.training.rows import asked
from core.training.settings import TrainingSettings

_TOGETHER = 8  # pieces of about equal length that go through the model together, where memory allows
_READ = 16  # pieces of the reference between two events


@dataclass(frozen=True, eq=False)
class Start:
    """What fine-tuning begins with.

    Attributes:
        model: Its weights; they are not changed.
        tokenizer: Lays out what is asked.
        name: What an adapter's file says of it.
        identity: Of its weights.
        chat: Whether prompts are turns of a chat.
    """

    model: Transformer
    tokenizer: Tokenizer
    name: str
    identity: str
    chat: bool


@dataclass(frozen=True, eq=False)
class References:
    """ln π_ref of every answer, of the model before it is fine-tuned: (n, 2), the better answer first."""

    train: Tensor
    held: Tensor


def read_references(
    model: Transformer, train: Sequence[Two], held: Sequence[Two]
) -> Iterator[Progress | Finished[References]]:
    """Read every different answer once, before anything is learned."""
    different = {piece for two in (*train, *held) for piece in (two.chosen, two.rejected)}
    order = sorted(different, key=lambda piece: (len(piece.ids), piece.ids))
    device = next(model.parameters()).device
    logs: dict[Piece, float] = {}
    for begin in range(0, len(order), _READ):
        some = order[begin : begin + _READ]
        part = padded(some).to(str(device))
        with torch.inference_mode():
            found = sums(read(model, part, measured=False).logs, part.owners, len(some))
        logs |= zip(some, found.tolist(), strict=True)
        yield Progress("Reading the answers as the model is now", len(logs), len(order), "answers")
    made = [
        torch.tensor([(logs[two.chosen], logs[two.rejected]) for two in twos]).view(-1, 2)  # (n, 2)
        for twos in (train, held)
    ]
    yield Finished(f"{len(order):,} answers are read.", References(*made))


class _Answers(Lesson):
    """What both kinds of fine-tuning have in common."""

    sample_tokens = 80

    def __init__(
        self, start: Start, train: Pieces, held: Pieces, settings: TrainingSettings, method: FinetuneSettings
    ) -> None:
        if not settings.masked:
            raise LabError("Fine-tuning has a causal mask.", "Leave the mask on.")
        self.start, self.settings, self.method = start, settings, method
        self.config, self.tokenizer = start.model.config, start.tokenizer
        self.train, self.held = train, held
        self._batch = settings.batch * processes.count()
        self._sizes = [_length(row) for row in train]
        self._before = [0]  # tokens before each step, as far as that was asked for
        self._pass: tuple[int, list[int]] = (-1, [])
        self._adapter: Adapter | None = None
        self.facts = LessonFacts(
            _identity(start, train, held, method), sum(self._sizes), sum(map(_length, held)), self._chance(),
            math.nan, None, round(self._batch * sum(self._sizes) / max(1, len(train))),
        )  # fmt: skip

    def _chance(self) -> float:
        return math.log(self.config.vocab_size)

    def _rows(self, step: int) -> list[int]:
        """Which rows a step learns from, over all processes."""
        first, rows = step * self._batch, []
        for n in range(first, first + self._batch):
            number, place = divmod(n, len(self.train))
            rows.append(self._order(number)[place])
        return rows

    def _order(self, number: int) -> list[int]:
        """The order of a pass over the rows."""
        if self._pass[0] != number:
            chance = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
            self._pass = (number, torch.randperm(len(self.train), generator=chance).tolist())
        return self._pass[1]

    def rows_of(self, step: int) -> list[int]:
        """Which rows this process learns from in a step, in their order."""
        rows, share = self._rows(step), self.settings.batch
        return rows[processes.number() * share :][:share]

    def _cut(self, rows: Sequence[int], of: Pieces) -> list[list[int]]:
        """Rows in parts, those of about equal length together."""
        most = min(_TOGETHER, math.ceil(len(rows) / self.settings.accumulation))
        ordered = sorted(rows, key=lambda n: _length(of[n]))
        return [ordered[n : n + most] for n in range(0, len(ordered), most)]

    def check(self) -> None:
        """Nothing can have changed: the rows are encoded anew at every sitting, and hashed."""

    def tokens_before(self, step: int) -> int:
        """See `Lesson`."""
        while len(self._before) <= step:
            rows = self._rows(len(self._before) - 1)
            self._before.append(self._before[-1] + sum(self._sizes[n] for n in rows))
        return self._before[step]

    def new_model(self, generator: torch.Generator) -> Transformer:
        """See `Lesson`."""
        if self.method.rank:
            self._adapter = new_adapter(
                self.config, self.method.rank, self.method.alpha, self.method.targets, generator
            )
            return with_adapter(self.start.model, self._adapter)
        made = Transformer(self.config)
        weights = {name: p.detach().clone().contiguous() for name, p in self.start.model.named_parameters()}
        made.load_state_dict(weights, assign=True)
        return made.requires_grad_(True)

    def prompt_ids(self, prompt: str) -> list[int]:
        """See `Lesson`."""
        return prompt_ids(asked(prompt) if self.start.chat else prompt, self.tokenizer)

    def write(self, model: Transformer, folder: Path) -> None:
        """The whole model; of LoRA the adapter alone."""
        if self._adapter is not None:
            write_adapter(adapter_of(model, self._adapter), self.config, folder, self.start.name)
        else:
            end = min(self.tokenizer.end_ids, default=None)
            write_model(self.config, dict(model.named_parameters()), folder, end=end)
        write_tokenizer(self.tokenizer, folder)

    def _look_rows(self) -> list[list[int]]:
        """Rows to look at, as many as the settings' tokens allow, evenly chosen."""
        tokens = sum(map(_length, self.held))
        count = max(1, min(len(self.held), len(self.held) * self.settings.evaluate_tokens // max(1, tokens)))
        return self._cut([n * len(self.held) // count for n in range(count)], self.held)


class Imitation(_Answers):
    """Supervised fine-tuning: answer as the demonstrations do; arguments as of `Preferring`."""

    train: tuple[Piece, ...]
    held: tuple[Piece, ...]

    def parts(self, step: int) -> Sequence[Weighed]:
        """See `Lesson`; a part weighs as many tokens as it teaches."""
        return self._weighed(self._cut(self.rows_of(step), self.train), self.train)

    def looks(self) -> Sequence[Weighed]:
        """See `Lesson`."""
        return self._weighed(self._look_rows(), self.held) if self.held else ()

    def _weighed(self, cut: list[list[int]], of: tuple[Piece, ...]) -> list[Weighed]:
        made: list[Weighed] = []
        for rows in cut:
            pieces = [of[n] for n in rows]
            made.append((padded(pieces), sum(piece.learned for piece in pieces)))
        return made

    def loss(self, model: Transformer, part: Padded, precision: str) -> tuple[Tensor, Measures]:
        """See `Lesson`."""
        part = part.to(self.settings.device)
        return of_demonstrations(read(model, part, precision), len(part.targets))

    def first(self, step: int) -> list[int]:
        """See `Lesson`."""
        return list(self.train[self.rows_of(step)[0]].ids)


class Preferring(_Answers):
    """DPO or IPO: raise the better of two answers above the worse one.

    Args:
        start: The model before, and its tokenizer.
        train: To learn from.
        held: To look at.
        settings: How long and how fast.
        method: Which objective.
        references: ln π_ref of every answer.
    """

    train: tuple[Two, ...]
    held: tuple[Two, ...]

    def __init__(
        self, start: Start, train: tuple[Two, ...], held: tuple[Two, ...], settings: TrainingSettings,
        method: FinetuneSettings, references: References,
    ) -> None:  # fmt: skip
        self.references = references
        super().__init__(start, train, held, settings, method)

    def _chance(self) -> float:
        if self.method.method == "ipo":
            return 1 / (4 * self.method.beta**2)
        return math.log(2)

    def parts(self, step: int) -> Sequence[Weighed]:
        """See `Lesson`; a part weighs as many pairs as it has."""
        return self._weighed(self._cut(self.rows_of(step), self.train), self.train, self.references.train)

    def looks(self) -> Sequence[Weighed]:
        """See `Lesson`."""
        return self._weighed(self._look_rows(), self.held, self.references.held) if self.held else ()

    def _weighed(self, cut: list[list[int]], of: tuple[Two, ...], references: Tensor) -> list[Weighed]:
        rows = [n for some in cut for n in some]
        tokens_a_pair = sum(of[n].chosen.learned for n in rows) / len(rows)
        made: list[Weighed] = []
        for some in cut:
            twos = [of[n] for n in some]
            pieces = padded([*(two.chosen for two in twos), *(two.rejected for two in twos)])
            part = Pairs(pieces, references[some].T.flatten())  # (2 B,)
            made.append(((part, tokens_a_pair * len(some)), len(some)))
        return made

    def loss(self, model: Transformer, part: tuple[Pairs, float], precision: str) -> tuple[Tensor, Measures]:
        """See `Lesson`."""
        pairs, tokens = part
        pairs = Pairs(pairs.padded.to(self.settings.device), pairs.reference.to(self.settings.device))
        made = read(model, pairs.padded, precision)
        return of_comparisons(made, pairs, self.method, pairs.count, tokens)

    def first(self, step: int) -> list[int]:
        """See `Lesson`."""
        return list(self.train[self.rows_of(step)[0]].chosen.ids)


def _length(row: Piece | Two) -> int:
    """Tokens that are read for a row."""
    return len(row.ids) if isinstance(row, Piece) else len(row.chosen.ids) + len(row.rejected.ids)


def _identity(start: Start, train: Pieces, held: Pieces, method: FinetuneSettings) -> str:
    """A hash of all that a run must not change under way."""
    hashed = hashlib.sha256(start.identity.encode())
    plain: list[Any] = [train, held, method]
    hashed.update(repr(plain).encode())
    return hashed.hexdigest()
