"""What a file says of tokens and merges, checked before a `Tokenizer` is made of it.

Each format hands over its tokens as they are spelled (GPT-2's characters for bytes), its merges as pairs of
spellings, and a way to name a place; the checks are the same for all. Which ids are refused: negative ones,
ones from 2**22 on, an id given twice, and a gap: an id below the last ordinary token that nobody has. Between
special tokens gaps are legal (cl100k and o200k have them). A special token is an ordinary one too where
merges spell it, or where it is a single byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NoReturn

from core.formats.files import quoted
from core.problems import LabError
from core.tokenizer.patterns import CHAR_TO_BYTE

IDS_AT_MOST = 1 << 22
TOKEN_AT_MOST = 1 << 16  # bytes of one token
TEMPLATE_AT_MOST = 1 << 20  # characters of a chat template
PARTS = ("bos", "eos", "unk", "pad")
REMEDY = "Mend the file, or get it again from its source."

_TO_LATIN_1 = str.maketrans({char: chr(byte) for char, byte in CHAR_TO_BYTE.items()})
_KNOWN = frozenset(CHAR_TO_BYTE)


@dataclass(frozen=True)
class Places:
    """How messages name a place of a file.

    Attributes:
        file: Name of the file.
        token: Where a token stands, from its spelling: 'model.vocab, "ab"'.
        merge: Where a merge stands, from its number (from 1): "model.merges, merge 12".
    """

    file: str
    token: Callable[[str], str]
    merge: Callable[[int], str]


def refuse(file: str, place: str, what: str, remedy: str = REMEDY) -> NoReturn:
    """Raise the LabError for a fault at a place of a file."""
    raise LabError(f"{file}, {place}: {what}.", remedy)


def ordinary_tokens(
    vocab: Mapping[str, int], special: Mapping[str, int], pairs: Iterable[tuple[str, str]]
) -> dict[str, int]:
    """The entries of a vocabulary that are ordinary tokens, given its special ones and its merges."""
    inside = special.keys() & vocab.keys()
    if not inside:
        return dict(vocab)
    used = {name for left, right in pairs for name in (left, right, left + right) if name in inside}
    hidden = {name for name in inside - used if len(name) > 1 or name not in _KNOWN}
    return {name: id_ for name, id_ in vocab.items() if name not in hidden}


def spelled_tokens(
    vocab: Mapping[str, int], special: Mapping[str, int], places: Places
) -> tuple[bytes | None, ...]:
    """The bytes of each id, from ordinary tokens as they are spelled.

    Raises:
        LabError: A spelling is no byte-level one, is empty or too long; or an id is refused (see above).
    """
    _check_ids(vocab, special, places)
    size = max(vocab.values(), default=-1) + 1
    tokens: list[bytes | None] = [None] * size
    joined = "".join(vocab)
    if not _KNOWN.issuperset(joined):
        _refuse_spelling(vocab, places)
    blob = joined.translate(_TO_LATIN_1).encode("latin-1")
    cuts = accumulate(map(len, vocab), initial=0)
    for id_, (start, end) in zip(vocab.values(), pairwise(cuts), strict=True):
        if not 0 < end - start <= TOKEN_AT_MOST:
            spelling = joined[start:end]
            what = "a token has no bytes" if start == end else f"a token has {end - start:,} bytes"
            refuse(places.file, places.token(spelling), f"{what}; 1 to {TOKEN_AT_MOST:,} are allowed")
        if tokens[id_] is not None:
            refuse(places.file, places.token(joined[start:end]), f"the id {id_:,} was given before")
        tokens[id_] = blob[start:end]
    if len(vocab) < size:
        held = set(special.values())
        for id_, token in enumerate(tokens):
            if token is None and id_ not in held:
                last = next(name for name, other in vocab.items() if other == size - 1)
                refuse(
                    places.file,
                    places.token(last),
                    f"ids go up to {size - 1:,}, but no token has the id {id_:,}",
                )
    return tuple(tokens)


def _check_ids(vocab: Mapping[str, int], special: Mapping[str, int], places: Places) -> None:
    for names in (vocab, special):
        for name, id_ in names.items():
            if type(id_) is not int:
                refuse(places.file, places.token(name), "its id is no whole number")
            if not 0 <= id_ < IDS_AT_MOST:
                refuse(
                    places.file,
                    places.token(name),
                    f"its id is {id_:,}; 0 to {IDS_AT_MOST - 1:,} are allowed",
                )
    taken: dict[int, str] = {}
    for name, id_ in special.items():
        if not name or len(name) > TOKEN_AT_MOST:
            refuse(places.file, places.token(name), f"a special token has {len(name):,} characters")
        if name in vocab and (vocab[name] != id_ or not name.isascii()):
            refuse(places.file, places.token(name), "this is a special token and an ordinary one")
        if taken.setdefault(id_, name) != name:
            refuse(
                places.file, places.token(name), f"the id {id_:,} was given to {quoted(taken[id_])} before"
            )
    if taken:
        for name, id_ in vocab.items():
            if id_ in taken and taken[id_] != name:
                refuse(
                    places.file,
                    places.token(name),
                    f"its id {id_:,} is that of the special token {quoted(taken[id_])}",
                )


def _refuse_spelling(vocab: Iterable[str], places: Places) -> NoReturn:
    name = next(name for name in vocab if not _KNOWN.issuperset(name))
    char = next(char for char in name if char not in _KNOWN)
    refuse(
        places.file,
        places.token(name),
        f"U+{ord(char):04X} stands for no byte: this is not a byte-level vocabulary",
        "Choose a byte-level BPE tokenizer, as GPT-2, Llama 3, Qwen and SmolLM2 have.",
    )


def spelled_merges(
    pairs: Iterable[tuple[str, str]], ids: Mapping[str, int], places: Places
) -> tuple[tuple[int, int, int], ...]:
    """Left, right and new id of each merge, from the spellings of its halves.

    A circle of merges cannot come out of this: a merge spells its two halves, so it is longer than either.

    Raises:
        LabError: A half or the result is no ordinary token, or a pair stands there twice.
    """
    merges: list[tuple[int, int, int]] = []
    try:
        for left, right in pairs:
            merges.append((ids[left], ids[right], ids[left + right]))
    except KeyError:
        for name, what in ((left, "left half"), (right, "right half"), (left + right, "result")):
            if name not in ids:
                refuse(
                    places.file,
                    places.merge(len(merges) + 1),
                    f"the {what} {quoted(name)} is no ordinary token",
                )
    if len({(left_id, right_id) for left_id, right_id, _ in merges}) < len(merges):
        seen: set[tuple[int, int]] = set()
        for number, (left_id, right_id, _) in enumerate(merges, start=1):
            if (left_id, right_id) in seen:
                refuse(places.file, places.merge(number), "the same pair stands there before")
            seen.add((left_id, right_id))
    return tuple(merges)


def halves(text: str, places: Places, number: int) -> tuple[str, str]:
    """The two halves of a merge that is written "left right".

    Raises:
        LabError: It is not two words with one space between them.
    """
    left, space, right = text.partition(" ")
    if not (left and space and right) or " " in right:
        refuse(places.file, places.merge(number), f"{quoted(text)} is not two halves with one space between")
    return left, right
