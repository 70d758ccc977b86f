"""A task as one file, .llmlab: what a teacher hands out.

The first line is the header with the sha256 of all that follows; every other line is an item. Models are
left out unless they are asked for: the answers find their items by content, and the teacher's own database
knows who made what. The secret for pseudonyms never travels, only the name of it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from core.formats.bounded_json import parse_json
from core.formats.files import decode_text, read_bytes, shown, write_new
from core.preferences.task import MOST_ITEMS, Task, content_of
from core.preferences.task_json import header_of, header_values, item_json, item_of
from core.preferences.texts import as_json
from core.problems import LabError

EXTENSION = ".llmlab"
FORMAT = 1
FILE_AT_MOST = 1 << 30  # bytes
_KIND = "llmlab-task"
_AGAIN = "Get the file again from who made it."


def write_task(
    task: Task, path: str | os.PathLike[str], *, hide_models: bool = True, overwrite: bool = False
) -> None:
    """Write a task whole or not at all, then read it back.

    Raises:
        LabError: The file exists, or could not be written, or does not read back.
    """
    lines = [item_json(item, hide_models=hide_models) + "\n" for item in task.items]
    body = "".join(lines).encode("utf-8")
    header: dict[str, Any] = {
        "kind": _KIND,
        "format": FORMAT,
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    first = as_json(header | {"task": header_values(task)}) + "\n"
    write_new(path, first.encode("utf-8") + body, overwrite)
    if read_task(path).sha256 != task.sha256:
        raise LabError(
            f"{shown(path)} does not read back as it was written.", "Check the disk and try again."
        )


def read_task(path: str | os.PathLike[str]) -> Task:
    """Read a task and check it against its hash.

    Raises:
        LabError: It is no task, of a newer format, damaged or changed.
    """
    name = shown(path)
    data = read_bytes(Path(path), FILE_AT_MOST)
    first, _, body = data.partition(b"\n")
    if len(first) > 1_000_000 or not first.startswith(b"{"):
        raise LabError(f"{name} is no task of LLM Lab.", f"Choose a file that ends in {EXTENSION}.")
    header = parse_json(decode_text(first, name), name)
    if (
        not isinstance(header, dict)
        or header.get("kind") != _KIND
        or not isinstance(header.get("format"), int)
    ):
        raise LabError(f"{name} is no task of LLM Lab.", f"Choose a file that ends in {EXTENSION}.")
    if header["format"] > FORMAT:
        raise LabError(
            f"{name} has format {header['format']}; this LLM Lab reads {FORMAT}.", "Update LLM Lab."
        )
    if hashlib.sha256(body).hexdigest() != header.get("body_sha256"):
        raise LabError(f"{name} is cut short or was changed: its hash is another.", _AGAIN)
    task, count, sha256 = header_of(header.get("task"), name)
    lines = decode_text(body, name).split("\n")
    if not 0 < count <= MOST_ITEMS or len(lines) != count + 1 or lines[-1]:
        raise LabError(f"{name} has {len(lines) - 1:,} items; its header says {count:,}.", _AGAIN)
    items = tuple(item_of(line, f"{name}, line {number:,}") for number, line in enumerate(lines[:-1], 2))
    if content_of(item.id for item in items) != sha256:
        raise LabError(f"{name} holds other items than its header says.", _AGAIN)
    return Task(task.id, task.name, task.created, task.guidelines, task.settings, items, task.key_id)
