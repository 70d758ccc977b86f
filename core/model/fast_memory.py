"""What was measured of a model on this machine, remembered in a JSON file, so that it is measured once."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import platform
from pathlib import Path
from typing import Any

import torch

from core.formats.bounded_json import read_json
from core.formats.files import write_new
from core.model.fast import Measured
from core.model.kernels import KERNELS
from core.problems import LabError

FILE = "kernels.json"
_AT_MOST = 1 << 20  # bytes of the file
_MODELS = 40  # that are remembered; the oldest goes


class FastMemory:
    """Measured ways by model.

    Args:
        folder: Where the file lies; None remembers nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / FILE

    def recall(self, path: Path) -> tuple[Measured, ...]:
        """What was measured of the model in a file or folder on this machine; empty where nothing was."""
        try:
            return tuple(_measured(each) for each in self._read().get(_key(path), ()))
        except (KeyError, TypeError, ValueError, OSError):
            return ()

    def keep(self, path: Path, measured: tuple[Measured, ...]) -> None:
        """Remember; where nothing can be written, it is measured again the next time."""
        if self._file is None:
            return
        known = self._read()
        try:
            known[_key(path)] = [dataclasses.asdict(each) for each in measured]
            latest = dict(list(known.items())[-_MODELS:])
            write_new(self._file, json.dumps(latest, indent=1), overwrite=True)
        except (LabError, OSError) as error:
            logging.getLogger(__name__).info("Measured kernels were not remembered: %s", error)

    def _read(self) -> dict[str, Any]:
        if self._file is None or not self._file.is_file():
            return {}
        try:
            known = read_json(self._file, at_most=_AT_MOST)
        except LabError as error:
            logging.getLogger(__name__).info("Measured kernels were not read: %s", error)
            return {}
        return known if isinstance(known, dict) else {}


def _key(path: Path) -> str:
    """A model's file as it is now, on this machine with this torch."""
    found = os.stat(path)
    machine = (
        platform.node(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), torch.__version__
    )  # fmt: skip
    return " | ".join(map(str, (path, found.st_size, found.st_mtime_ns, *machine)))


def _measured(value: dict[str, Any]) -> Measured:
    """One way, as the file has it.

    Raises:
        ValueError: A kernel is unknown, or a number is none.
    """
    made = Measured(
        str(value["blocks"]), str(value["head"]), float(value["seconds"]), float(value["divergence"]),
        int(value["tokens"]),
    )  # fmt: skip
    if not all(name == "exact" or name in KERNELS for name in (made.blocks, made.head)):
        raise ValueError(made)
    if not all(map(math.isfinite, (made.seconds, made.divergence))):
        raise ValueError(made)
    return made
