"""Tasks and items as JSON values: what the database and the .llmlab file hold, and the checks when they are
read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core import settings as schema
from core.formats.bounded_json import parse_json
from core.formats.files import quoted
from core.preferences.task import (
    GUIDELINES_AT_MOST,
    KINDS,
    MOST,
    Guidelines,
    Item,
    Maker,
    Output,
    Task,
    TaskSettings,
    same_id,
)
from core.preferences.texts import TEXT_AT_MOST, as_json, plain_said, said_of
from core.problems import LabError

_AGAIN = "Get the file again from who made it."


def item_json(item: Item, *, hide_models: bool = False) -> str:
    """An item on one line; `hide_models` leaves out who made the outputs."""
    outputs = []
    for output in item.outputs:
        facts: dict[str, Any] = {"id": output.id, "text": output.text}
        if output.makers and not hide_models:
            facts["makers"] = [{"model": one.model, "settings": dict(one.settings)} for one in output.makers]
        if output.marks and not hide_models:
            facts["marks"] = list(output.marks)
        outputs.append(facts)
    values: dict[str, Any] = {
        "id": item.id,
        "prompt": plain_said(item.prompt),
        "outputs": outputs,
        "kind": item.kind,
    }
    if item.category:
        values["category"] = item.category
    if item.key:
        values["key"] = [list(tier) for tier in item.key]
    return as_json(values)


def item_of(text: str, name: str, *, trusted: bool = False) -> Item:
    """An item from its line.

    Args:
        name: What messages call the line.
        trusted: It comes from our own database: its id need not be computed again.

    Raises:
        LabError: It is damaged or no item.
    """
    if not isinstance(text, str):  # a damaged database may hold anything
        raise LabError(f"{name} holds an item that is no text.", _AGAIN)
    values = parse_json(text, name)
    try:
        outputs = tuple(_output(value) for value in values["outputs"])
        key = tuple(tuple(str(id) for id in tier) for tier in values.get("key", ()))
        item = Item(
            values["id"], said_of(values["prompt"], f"{name}: the prompt"), outputs, values["kind"],
            values.get("category", ""), key,
        )  # fmt: skip
        sound = (
            2 <= len(outputs) <= MOST
            and item.kind in KINDS
            and isinstance(item.category, str)
            and (trusted or same_id(item))
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise LabError(f"{name} is no item of a task.", _AGAIN) from error
    if not sound:
        raise LabError(f"{name}: the item {quoted(str(item.id), 30)} is not what its id says.", _AGAIN)
    return item


def _output(value: Mapping[str, Any]) -> Output:
    text, id = value["text"], value["id"]
    if not isinstance(text, str) or not isinstance(id, str) or len(text) > TEXT_AT_MOST:
        raise TypeError("an output without text or id")
    makers = tuple(Maker(str(one["model"]), dict(one["settings"])) for one in value.get("makers", ()))
    return Output(id, text, makers, tuple(str(mark) for mark in value.get("marks", ())))


def header_values(task: Task) -> dict[str, Any]:
    """A task without its items as JSON values."""
    return {
        "id": task.id,
        "name": task.name,
        "created": task.created.isoformat(),
        "guidelines": {"version": task.guidelines.version, "text": task.guidelines.text},
        "settings": schema.to_json(task.settings),
        "key_id": task.key_id,
        "items": len(task.items),
        "sha256": task.sha256,
    }


def header_of(values: Any, name: str) -> tuple[Task, int, str]:
    """A task without items, how many it has, and their sha256; from JSON values.

    Raises:
        LabError: They are damaged, or of a newer version.
    """
    try:
        guidelines = Guidelines(values["guidelines"]["version"], values["guidelines"]["text"])
        sound = (
            all(isinstance(values[key], str) for key in ("id", "name", "key_id", "sha256"))
            and isinstance(values["items"], int)
            and isinstance(guidelines.version, int)
            and len(guidelines.text) <= GUIDELINES_AT_MOST
            and 0 < len(values["name"]) <= 200
        )
        created = datetime.fromisoformat(values["created"]).astimezone(UTC)
        settings = schema.from_json(TaskSettings, values["settings"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise LabError(f"{name} is no task.", _AGAIN) from error
    if not sound:
        raise LabError(f"{name} is no sound task.", _AGAIN)
    task = Task(values["id"], values["name"], created, guidelines, settings, (), values["key_id"])
    return task, values["items"], values["sha256"]
