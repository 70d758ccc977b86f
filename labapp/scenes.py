"""What a lab shows that is data: the sentences under its pictures and its scenes, in `resources/`."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any


def read_json(*place: str) -> dict[str, Any]:
    """The JSON object in a file of `resources/`.

    >>> read_json("scenes", "attention", "cat.json")["layer"]
    13
    """
    data = importlib.resources.files("resources").joinpath(*place).read_bytes()
    value: dict[str, Any] = json.loads(data)
    return value
