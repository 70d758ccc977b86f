"""The one translation call: every sentence on screen passes through `tr`.

A translation is `resources/translations/<language>.json`, one object from the English text (with its
`{names}`) to the translated text. Without one, English is shown.
"""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

_catalog: dict[str, str] = {}


def tr(text: str, /, **values: Any) -> str:
    """The text in the user's language, with its `{names}` filled in.

    >>> tr("{n:,} tokens", n=12345)
    '12,345 tokens'
    """
    text = _catalog.get(text, text)
    return text.format(**values) if values else text


def use_language(language: str) -> bool:
    """Load the translation of `language` ("de"); False, and English, where none is shipped."""
    _catalog.clear()
    file = importlib.resources.files("resources") / "translations" / f"{language}.json"
    if not file.is_file():
        return False
    _catalog.update(json.loads(file.read_text(encoding="utf-8")))
    return True
