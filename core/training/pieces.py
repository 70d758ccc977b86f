"""Rows as tokens, and which of them are learned: those of the answer and of its end, never the prompt's.

A chat is laid out by the tokenizer's template; the answer begins where the chat with it parts from the chat
up to it, as in TRL (trl/trainer/dpo_trainer.py). Text as it stands follows the token between documents, as in
pretraining, and is ended by the token that ends a text. Nothing is cut off: what does not fit is named.

B sequences, T tokens of the longest, N learned tokens in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.model.chat import chat_ids
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer
from core.training.rows import Demonstration, Row, Rows, Said, Turn
from core.training.tokens import SEPARATOR

USER, ASSISTANT, END = "<|user|>", "<|assistant|>", "<|end|>"
WORLD_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] not in ['user', 'assistant'] %}"
    "{{ raise_exception('only user and assistant speak here') }}{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""How the small world lays out a chat: <|user|>Hello.<|end|><|assistant|>Hello! How can I help?<|end|>"""

_AT_ONCE = 50  # rows between two events


@dataclass(frozen=True)
class Piece:
    """A row's prompt with one answer.

    Attributes:
        ids: All tokens.
        begin: The first one that is learned; all behind it are, too.
    """

    ids: tuple[int, ...]
    begin: int

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return len(self.ids) - self.begin


@dataclass(frozen=True)
class Two:
    """A comparison's prompt with either answer."""

    chosen: Piece
    rejected: Piece


Pieces = tuple[Piece, ...] | tuple[Two, ...]


def chat_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that has a template for chats: its own, or the small world's where it has these tokens.

    Raises:
        LabError: It has neither.
    """
    if tokenizer.chat_template:
        return tokenizer
    if not {USER, ASSISTANT, END} <= set(tokenizer.special_tokens):
        raise LabError(
            f"{tokenizer.name} has no chat template, nor the tokens {USER}, {ASSISTANT} and {END}.",
            "Choose a model whose tokenizer has them, or rows of plain text.",
        )
    return replace(tokenizer, chat_template=WORLD_TEMPLATE, eos=END)


def encode_rows(rows: Rows, tokenizer: Tokenizer, context: int) -> Iterator[Progress | Finished[Pieces]]:
    """Encode demonstrations to pieces, comparisons to twos.

    Args:
        rows: All of one kind.
        tokenizer: For chats, one with a template.
        context: Tokens that the model looks back on.

    Raises:
        LabError: A row does not fit into the context, or the template refuses it; the line is named.
    """
    return _encode(rows, tokenizer, context)


def _encode(rows: Rows, tokenizer: Tokenizer, context: int) -> Iterator[Progress | Finished[Pieces]]:
    made: list[Piece | Two] = []
    each: Sequence[Row] = rows
    for n, row in enumerate(each, 1):
        try:
            piece = encode_row(row, tokenizer)
        except LabError as error:
            raise LabError(f"Row {_place(row, n)}: {error.problem}", error.remedy) from error
        for one in (piece,) if isinstance(piece, Piece) else (piece.chosen, piece.rejected):
            _check(one, row, n, context)
        made.append(piece)
        if n % _AT_ONCE == 0:
            yield Progress("Encoding the rows", n, len(rows), "rows")
    yield Finished(f"{len(made):,} rows are encoded.", tuple(made))  # type: ignore[arg-type]


def _check(piece: Piece, row: Row, n: int, context: int) -> None:
    if len(piece.ids) > context:
        raise LabError(
            f"Row {_place(row, n)}: it has {len(piece.ids):,} tokens; the model looks back on {context:,}.",
            "Shorten it, or choose a model with a longer context.",
        )
    if piece.learned < 1 or piece.begin < 1:
        raise LabError(
            f"Row {_place(row, n)}: no token of its answer stands behind its prompt.",
            "Write the answer behind the prompt, not into it.",
        )


def _place(row: Row, n: int) -> str:
    return f"of line {row.line:,}" if row.line else f"{n:,}"


def encode_row(row: Row, tokenizer: Tokenizer) -> Piece | Two:
    """One row as tokens.

    Raises:
        LabError: The chat template refuses it, or there is none.
    """
    if isinstance(row, Demonstration):
        return _pieces(row.prompt, (row.completion,), tokenizer)[0]
    return Two(*_pieces(row.prompt, (row.chosen, row.rejected), tokenizer))


def _pieces(prompt: Said, answers: tuple[Said, ...], tokenizer: Tokenizer) -> tuple[Piece, ...]:
    before = prompt_ids(prompt, tokenizer)
    wholes = [_whole(prompt, answer, tokenizer) for answer in answers]
    begin = min(_alike(before, whole) for whole in wholes)
    return tuple(Piece(tuple(whole), begin) for whole in wholes)


def prompt_ids(prompt: Said, tokenizer: Tokenizer) -> list[int]:
    """What a model reads before it answers.

    Raises:
        LabError: The chat template refuses it, or there is none.
    """
    if isinstance(prompt, str):
        return [*_mark(tokenizer), *tokenizer.encode(prompt)]
    return _chat(prompt, tokenizer, True)


def _whole(prompt: Said, answer: Said, tokenizer: Tokenizer) -> list[int]:
    if isinstance(prompt, str) or isinstance(answer, str):
        ends = sorted(tokenizer.end_ids)
        return [*_mark(tokenizer), *tokenizer.encode(f"{prompt}{answer}"), *ends]
    return _chat((*prompt, *answer), tokenizer, False)


def _chat(turns: tuple[Turn, ...], tokenizer: Tokenizer, to_be_answered: bool) -> list[int]:
    """The ids of a chat; the small world's own template is not compiled for each of thousands (4 ms)."""
    ours = tokenizer.chat_template == WORLD_TEMPLATE and all(turn.role != "system" for turn in turns)
    if not ours:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        return chat_ids(tokenizer, messages, add_generation_prompt=to_be_answered)
    parts = [f"<|{turn.role}|>{turn.content}{END}" for turn in turns]
    text = "".join([tokenizer.bos or "", *parts, ASSISTANT if to_be_answered else ""])
    return tokenizer.encode(text, special="all")


def _mark(tokenizer: Tokenizer) -> list[int]:
    mark = tokenizer.special_tokens.get(SEPARATOR)
    return [] if mark is None else [mark]


def _alike(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two rows of ids have in common at their beginning.

    >>> _alike([1, 2, 3], [1, 2, 4, 5])
    2
    """
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )


@dataclass(frozen=True, eq=False)
class Padded:
    """Pieces one below the other, filled up to the right.

    Attributes:
        ids: int64, (B, T).
        learned: Which tokens are learned, bool, (B, T − 1): the place before each foretells it.
        targets: The learned tokens, int64, (N,), one piece behind the other.
        owners: Of which piece each is, int64, (N,).
    """

    ids: Tensor
    learned: Tensor
    targets: Tensor
    owners: Tensor

    def to(self, device: str) -> Padded:
        """The same on another device."""
        return Padded(*(part.to(device) for part in (self.ids, self.learned, self.targets, self.owners)))


def padded(pieces: Sequence[Piece], fill: int = 0, length: int = 0) -> Padded:
    """Lay pieces one below the other.

    Args:
        pieces: At least one.
        fill: Which id fills up. No learned token sees it: all stand before it.
        length: Fill up to so many tokens at least.

    >>> made = padded([Piece((5, 6, 7), 1), Piece((5, 8), 1)])
    >>> made.ids.tolist(), made.targets.tolist(), made.owners.tolist()
    ([[5, 6, 7], [5, 8, 0]], [6, 7, 8], [0, 0, 1])
    >>> made.learned.tolist()
    [[True, True], [True, False]]
    """
    longest = max(length, *(len(piece.ids) for piece in pieces))
    ids = torch.full((len(pieces), longest), fill)  # (B, T)
    learned = torch.zeros(len(pieces), longest - 1, dtype=torch.bool)  # (B, T − 1)
    for n, piece in enumerate(pieces):
        ids[n, : len(piece.ids)] = torch.tensor(piece.ids)
        learned[n, piece.begin - 1 : len(piece.ids) - 1] = True
    return Padded(ids, learned, ids[:, 1:][learned], learned.nonzero()[:, 0])
