"""Let a model go on with many prompts at once, always with the most probable token.

Prompts of equal length are read together, so that nothing has to be filled up. Every prompt stands at the
beginning of a document: behind the token that separates documents.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import torch
from torch import Tensor

from core.model.cache import KVCache
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Progress
from core.tokenizer.tokenizer import Tokenizer

SEPARATOR = "<|endoftext|>"
_WORK = 10**10  # multiplications in one pass, at most: below a second where nothing else runs


class _Batch(KVCache):
    """Keys and values of several texts of one length."""

    def make_room(self, tokens: int) -> None:
        """Nothing: rows grow as they are extended."""

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if layer == len(self._keys):
            self._keys.append(k)
            self._values.append(v)
        else:
            self._keys[layer] = torch.cat([self._keys[layer], k], dim=2)  # (B, K, S, d)
            self._values[layer] = torch.cat([self._values[layer], v], dim=2)
        return self._keys[layer], self._values[layer]


def start_id(tokenizer: Tokenizer) -> int | None:
    """The token behind which a document begins, or None."""
    named = tokenizer.special_tokens
    return named.get(SEPARATOR, named.get(tokenizer.bos) if tokenizer.bos else None)


def document_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text at the beginning of a document."""
    start = start_id(tokenizer)
    return [*([] if start is None else [start]), *tokenizer.encode(text)]


def equal_lengths(model: Transformer, rows: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], Tensor]]:
    """Rows of one length at a time: which they are, and their ids, (B, T).

    Raises:
        LabError: A row is longer than the model's context.
    """
    longest = max(map(len, rows), default=0)
    if longest > model.config.context:
        raise LabError(
            f"A question has {longest:,} tokens; this model looks back on {model.config.context:,}.",
            "Choose a model with a longer context, or a tokenizer that needs fewer tokens.",
        )
    parameters = sum(each.numel() for each in model.parameters())
    by_length: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(number)
    for length, numbers in by_length.items():
        at_once = max(1, _WORK // max(1, parameters * length))
        for begin in range(0, len(numbers), at_once):
            some = numbers[begin : begin + at_once]
            yield some, torch.tensor([rows[number] for number in some])


def answer_all(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    tokens: int,
    enough: Callable[[str], bool],
    doing: str,
) -> Generator[Progress, None, list[str]]:
    """What a model writes behind each prompt; progress comes with every token of a batch.

    Args:
        model: Which model.
        tokenizer: Its tokenizer.
        prompts: What it goes on with.
        tokens: At most so many are written.
        enough: Whether a text says already what is wanted; no more is written then.
        doing: What the progress says.

    Raises:
        LabError: A prompt is longer than the model's context.
    """
    rows = [document_ids(tokenizer, prompt) for prompt in prompts]
    return (yield from answer_rows(model, tokenizer, rows, tokens, enough, doing))


def answer_rows(
    model: Transformer,
    tokenizer: Tokenizer,
    rows: Sequence[Sequence[int]],
    tokens: int,
    enough: Callable[[str], bool],
    doing: str,
) -> Generator[Progress, None, list[str]]:
    """As `answer_all`, for prompts that are ids already, such as chats.

    Raises:
        LabError: A prompt is longer than the model's context.
    """
    spoken = _spoken(tokenizer, model.config.vocab_size)
    texts = [""] * len(rows)
    done = 0
    for numbers, ids in equal_lengths(model, rows):
        for ended, written in _decode(model, tokenizer, ids, tokens, enough, spoken):
            for number, text in zip(numbers, written, strict=True):
                texts[number] = text
            yield Progress(doing, done + ended, len(rows), "questions")
        done += len(numbers)
    return texts


def _decode(
    model: Transformer,
    tokenizer: Tokenizer,
    ids: Tensor,
    tokens: int,
    enough: Callable[[str], bool],
    spoken: Tensor,
) -> Iterator[tuple[int, list[str]]]:
    """How many texts have ended and all so far, token by token, until all have; ids are (B, T)."""
    ends = tokenizer.end_ids | {start_id(tokenizer)}
    cache = _Batch(model.config)
    written: list[list[int]] = [[] for _ in ids]
    texts = [""] * len(ids)
    going = [True] * len(ids)
    for _ in range(min(tokens, model.config.context - ids.shape[1])):
        with torch.inference_mode():
            logits = model(ids, cache=cache, last=1)[:, 0]  # (B, V)
            ids = logits.masked_fill(~spoken, -torch.inf).argmax(-1, keepdim=True)  # (B, 1)
        for row, id_ in enumerate(ids.flatten().tolist()):
            if going[row] and id_ not in ends:
                written[row].append(id_)
                texts[row] = tokenizer.decode(written[row]).decode("utf-8", "replace")
                going[row] = not enough(texts[row])
            else:
                going[row] = False
        yield len(ids) - sum(going), texts
        if not any(going):
            return


def _spoken(tokenizer: Tokenizer, size: int) -> Tensor:
    """Which ids of a model are tokens, (V,): tables are often larger than vocabularies."""
    special = set(tokenizer.special_tokens.values())
    tokens = tokenizer.tokens
    return torch.tensor(
        [id_ in special or (id_ < len(tokens) and tokens[id_] is not None) for id_ in range(size)]
    )
