"""What the window remembers: `window.json` in the workspace, written whole and by rename.

Two windows on one workspace each write the whole file; the one closed last is remembered. A file that cannot
be read is as good as none: the window then opens as on the first day.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from core.formats.bounded_json import read_json
from core.formats.files import write_new
from core.problems import LabError

FILE = "window.json"
AT_MOST = 4_000_000  # bytes
RECENT = 10  # files in File > Open recent


def load_state(root: Path) -> dict[str, Any]:
    """What was remembered in a workspace; empty where nothing was."""
    file = root / FILE
    if not file.is_file():
        return {}
    try:
        state = read_json(file, at_most=AT_MOST)
    except LabError as error:
        logging.getLogger(__name__).info("The window's state was not restored: %s", error)
        return {}
    return state if isinstance(state, dict) else {}


def save_state(root: Path, state: dict[str, Any]) -> None:
    """Remember a state.

    Raises:
        LabError: The workspace cannot be written.
    """
    write_new(root / FILE, json.dumps(state, ensure_ascii=False, indent=1), overwrite=True)


def add_recent(state: dict[str, Any], path: Path) -> None:
    """Put a file at the head of the recent ones."""
    files = [name for name in recent(state) if name != str(path)]
    state["recent"] = [str(path), *files][:RECENT]


def recent(state: dict[str, Any]) -> list[str]:
    """The recent files, latest first."""
    files = state.get("recent", [])
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []
