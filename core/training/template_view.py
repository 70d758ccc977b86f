"""What a model reads of a row: its tokens in the chat template, and where those begin that are learned."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.source import open_model
from core.tokenizer.tokenizer import Tokenizer
from core.training.finetune import start_path, tokenizer_of
from core.training.pieces import Piece, chat_tokenizer, encode_row
from core.training.rows import Row


@dataclass(frozen=True)
class Laid:
    """A row in tokens.

    Attributes:
        ids: All of them.
        tokens: The bytes of each.
        begin: The first one that is trained on.
    """

    ids: tuple[int, ...]
    tokens: tuple[bytes, ...]
    begin: int


def lay_out(row: Row, place: str, worse: bool = False) -> Laid:
    """Lay out a row for a model, as a run would.

    Args:
        row: The row.
        place: The model, as a plan names it.
        worse: Whether the worse answer of a comparison is wanted.

    Raises:
        LabError: There is no such model, or its template refuses the row.
    """
    tokenizer = tokenizer_of(open_model(start_path(place)))
    if not isinstance(row.prompt, str):
        tokenizer = chat_tokenizer(tokenizer)
    return laid_out(row, tokenizer, worse)


def laid_out(row: Row, tokenizer: Tokenizer, worse: bool = False) -> Laid:
    """The same with a tokenizer that has a template."""
    made = encode_row(row, tokenizer)
    piece = made if isinstance(made, Piece) else made.rejected if worse else made.chosen
    return Laid(piece.ids, tuple(tokenizer.decode([id_]) for id_ in piece.ids), piece.begin)
