"""One schema for a setting: form, tooltip, command line, JSON and checks are all read off it.

A settings object is a frozen dataclass whose fields are made by `setting(...)`:

    @dataclass(frozen=True)
    class LearnSettings:
        vocab_size: int = setting(2048, help="How many tokens ...", unit="tokens", low=256, high=1_000_000)

`describe` lists its fields, `check` names all faults at once, `to_json` and `from_json` store it.
This file draws no form and parses no command line; those read `describe`.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.problems import LabError

_KEY = "llmlab.setting"


@dataclass(frozen=True)
class SettingInfo:
    """What is known of one setting.

    Attributes:
        name: Field name, also the key in JSON and `--set key=value`.
        kind: `int`, `float`, `bool` or `str`.
        default: Value where nothing else is said.
        help: One sentence on what it is: tooltip and documentation.
        title: Label on the form; the name with spaces where none was given.
        unit: Unit of the value, or "".
        more_means: What a larger value does, or "".
        low: Smallest value allowed, or None.
        high: Largest value allowed, or None.
        choices: The only values allowed, or an empty tuple.
    """

    name: str
    kind: type
    default: Any
    help: str
    title: str
    unit: str
    more_means: str
    low: float | None
    high: float | None
    choices: tuple[Any, ...]

    @property
    def tooltip(self) -> str:
        """Help, direction and limits in one plain text."""
        parts = [self.help]
        if self.more_means:
            parts.append(f"More: {self.more_means}")
        if self.low is not None and self.high is not None:
            parts.append(f"From {self.low:,} to {self.high:,}{' ' + self.unit if self.unit else ''}.")
        return "\n".join(parts)


def setting(
    default: Any,
    *,
    help: str,
    title: str = "",
    unit: str = "",
    more_means: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] = (),
) -> Any:
    """Declare a field of a settings dataclass; the arguments are those of `SettingInfo`."""
    facts = {
        "help": help,
        "title": title,
        "unit": unit,
        "more_means": more_means,
        "low": low,
        "high": high,
        "choices": tuple(choices),
    }
    return dataclasses.field(default=default, metadata={_KEY: facts})


def describe(settings: Any) -> list[SettingInfo]:
    """The settings of a settings class (or object), in the order of their declaration."""
    cls = settings if isinstance(settings, type) else type(settings)
    kinds = typing.get_type_hints(cls)
    infos = []
    for field in dataclasses.fields(cls):
        facts = dict(field.metadata[_KEY])
        facts["title"] = facts["title"] or field.name.replace("_", " ").capitalize()
        infos.append(SettingInfo(name=field.name, kind=kinds[field.name], default=field.default, **facts))
    return infos


def faults(settings: Any) -> list[str]:
    """Everything that is wrong with a settings object, a sentence each; empty when it is right."""
    return [f for info in describe(settings) if (f := _fault(info, getattr(settings, info.name)))]


def check(settings: Any) -> None:
    """Raise one LabError that names all faults of a settings object.

    Raises:
        LabError: At least one value has the wrong kind or lies outside its limits.
    """
    found = faults(settings)
    if found:
        raise LabError(" ".join(found), "Change the values named here and start again.")


def to_json(settings: Any) -> dict[str, Any]:
    """The settings as plain JSON values."""
    return {info.name: getattr(settings, info.name) for info in describe(settings)}


Settings = TypeVar("Settings")


def from_json(cls: type[Settings], values: dict[str, Any]) -> Settings:
    """Make a settings object of `values`, checked; names that are missing keep their default.

    Raises:
        LabError: An unknown name, a wrong kind, or a value outside its limits.
    """
    infos = {info.name: info for info in describe(cls)}
    unknown = sorted(set(values) - set(infos))
    if unknown:
        raise LabError(
            f"{cls.__name__} has no setting {', '.join(unknown)}.", f"Its settings are {', '.join(infos)}."
        )
    made = cls(**{name: _read(infos[name], value) for name, value in values.items()})
    check(made)
    return made


def _read(info: SettingInfo, value: Any) -> Any:
    """Turn what a command line or a JSON file gives into the setting's kind, where that is safe."""
    if isinstance(value, str) and info.kind is not str:
        try:
            if info.kind is bool:
                return {"true": True, "false": False, "yes": True, "no": False}[value.lower()]
            return info.kind(value.replace(",", "").replace("_", ""))
        except (KeyError, ValueError, OverflowError):
            return value
    if info.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _fault(info: SettingInfo, value: Any) -> str:
    of_kind = type(value) is info.kind  # True is no whole number
    if not of_kind:
        return f"{info.title} is {value!r}, which is not {_KIND_NAMES[info.kind]}."
    if info.kind is float and not math.isfinite(value):
        return f"{info.title} is {value}, which is not a finite number."
    if info.low is not None and value < info.low:
        return f"{info.title} is {value:,}, below {info.low:,}."
    if info.high is not None and value > info.high:
        return f"{info.title} is {value:,}, above {info.high:,}."
    if info.choices and value not in info.choices:
        return f"{info.title} is {value!r}; it can be {', '.join(map(str, info.choices))}."
    return ""


_KIND_NAMES = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
