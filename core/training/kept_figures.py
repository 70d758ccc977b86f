"""Figures that were measured on this machine, kept in one JSON file by what decides them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.artifacts import plain_json
from core.problems import LabError


def recall(file: Path, key: str) -> Any:
    """What was kept under a key; None where nothing was, or the file cannot be read."""
    try:
        known = plain_json.read_json(file)
    except LabError:
        return None
    return known.get(key) if isinstance(known, dict) else None


def remember(file: Path, key: str, values: dict[str, Any]) -> None:
    """Keep figures under a key; a file that cannot be read is begun anew.

    Raises:
        LabError: The disk refused.
    """
    try:
        known = plain_json.read_json(file)
    except LabError:
        known = {}
    known = known if isinstance(known, dict) else {}
    plain_json.write_json(file, known | {key: values})
