"""What a prompt or an output says, and what counts as the same text.

Turns are those of a chat, as TRL's files have them. Files are read elsewhere (`importing.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from core.formats.files import quoted
from core.problems import LabError

ROLES = ("system", "user", "assistant")
TEXT_AT_MOST = 8_000_000  # characters of one prompt or output
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Turn:
    """What one side of a chat says."""

    role: str
    content: str


Said = str | tuple[Turn, ...]
"""Text as it stands, or turns of a chat."""


def folded(text: str) -> str:
    r"""A text as it is compared: composed characters (NFC), runs of white space as one space.

    >>> folded("cafe\u0301 \n au lait ") == folded("caf\xe9 au lait")
    True
    """
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def plain_said(said: Said) -> Any:
    """A prompt as JSON values.

    >>> plain_said((Turn("user", "Hi"),))
    [{'role': 'user', 'content': 'Hi'}]
    """
    if isinstance(said, str):
        return said
    return [{"role": turn.role, "content": turn.content} for turn in said]


def said_of(value: Any, name: str) -> Said:
    """A prompt from JSON values; `name` is what messages call it.

    Raises:
        LabError: It is neither text nor turns of a chat, or is too long, or empty.

    >>> said_of([{"role": "user", "content": "Hi"}], "The prompt")
    (Turn(role='user', content='Hi'),)
    """
    remedy = 'Give a text, or a list of {"role", "content"}.'
    if isinstance(value, str):
        return checked_text(value, name)
    if not isinstance(value, list) or not value:
        raise LabError(
            f"{name} is {quoted(json.dumps(value), 40)}, neither text nor turns of a chat.", remedy
        )
    turns = []
    for turn in value:
        if not isinstance(turn, dict) or not isinstance(turn.get("content"), str):
            raise LabError(f'{name} has a turn without "role" and "content".', remedy)
        if turn.get("role") not in ROLES:
            role = quoted(str(turn.get("role")), 20)
            raise LabError(f"{name} has a turn of {role}.", f"Roles are {', '.join(ROLES)}.")
        turns.append(Turn(turn["role"], checked_text(turn["content"], name)))
    return tuple(turns)


def checked_text(text: str, name: str) -> str:
    """The text, if it can be stored and shown.

    Raises:
        LabError: It is empty, too long, or holds half a character.
    """
    if not text.strip():
        raise LabError(f"{name} is empty.", "Give it some text, or leave it out.")
    if len(text) > TEXT_AT_MOST:
        raise LabError(
            f"{name} has {len(text):,} characters; at most {TEXT_AT_MOST:,} are taken.", "Shorten it."
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LabError(
            f"{name} holds half a character at place {error.start:,}.", "Save its file as UTF-8 again."
        ) from error
    if "\0" in text:  # PostgreSQL stores none
        raise LabError(f"{name} holds a zero character at place {text.index(chr(0)):,}.", "Take it out.")
    return text


def prompt_text(said: Said) -> str:
    r"""A prompt as one plain text: the words of a single turn, or every turn with its role.

    >>> prompt_text((Turn("user", "Hi"),)), prompt_text((Turn("system", "Be kind."), Turn("user", "Hi")))
    ('Hi', 'system: Be kind.\n\nuser: Hi')
    """
    if isinstance(said, str):
        return said
    if len(said) == 1:
        return said[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in said)


def digest(*parts: Any) -> str:
    """The sha256 of JSON values as 64 hex digits: the same on every machine.

    >>> digest("a", 1)[:8] == digest("a", 1)[:8] != digest("a1")[:8]
    True
    """
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def as_json(value: Any) -> str:
    """JSON on one line, keys in order; what the database and the files hold."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
