"""A document: one piece of training text, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """One piece of training text, without the separator that a trainer puts between two of them.

    Attributes:
        text: The text itself.
        source: The template family or the file that it comes from.
        nats: An upper bound of the text's own entropy in nats: the sum of −ln p over all choices that were
            drawn for it. Zero where nobody drew anything.
    """

    text: str
    source: str
    nats: float = 0.0
