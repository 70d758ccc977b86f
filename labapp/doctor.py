"""What is installed, what is missing, and how to add it; nothing is changed and nothing is fetched."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.artifacts import Workspace, default_root
from core.problems import LabError
from core.tokenizer.known import known_tokenizers

FREE_AT_LEAST = 2_000_000_000  # bytes of disk for a class's checkpoints and tokenizers
MEMORY_AT_LEAST = 4_000_000_000  # bytes


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: What was looked at.
        state: "ok", "note" or "missing".
        found: What was found.
        remedy: What to do about it; "" where nothing is needed.
        needed: Whether the app cannot do without it.
    """

    name: str
    state: str
    found: str
    remedy: str = ""
    needed: bool = False

    def line(self) -> str:
        """The check as one line of text."""
        sign = {"ok": "ok     ", "note": "note   ", "missing": "missing"}[self.state]
        return f"{sign}  {self.name:<24} {self.found}" + (f"  → {self.remedy}" if self.remedy else "")


def examine(root: Path | None = None) -> list[Check]:
    """Look at everything once; a look that fails is itself a line of the report."""
    looks: list[Callable[[], list[Check]]] = [
        _python,
        _packages,
        _vocabularies,
        _fonts,
        _display,
        lambda: _workspace(root or default_root()),
        _machine,
    ]
    checks: list[Check] = []
    for look in looks:
        try:
            checks += look()
        except Exception as error:  # a report that stops half-way helps nobody
            checks.append(Check(look.__name__.strip("_<>"), "note", f"could not be looked at: {error}"))
    return checks


def _python() -> list[Check]:
    return [Check("Python", "ok", f"{platform.python_version()} on {platform.platform()}")]


def _packages() -> list[Check]:
    checks = []
    for line in importlib.metadata.requires("llm-lab") or []:
        requirement = line.partition(";")[0].strip()
        if "extra ==" in line:
            continue
        name, _, pinned = requirement.partition("==")
        name = name.partition("[")[0]  # psycopg[binary]
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            checks.append(Check(name, "missing", "not installed", "python3 run.py", needed=True))
            continue
        same = not pinned or version.partition("+")[0] == pinned
        found = version if same else f"{version}, while {pinned} was tested"
        checks.append(Check(name, "ok" if same else "note", found, "" if same else "python3 run.py"))
    return checks


def _vocabularies() -> list[Check]:
    return [
        Check(k.title, "ok", "installed")
        if k.available
        else Check(k.title, "note", "not installed", k.how_to_add)
        for k in known_tokenizers()
    ]


def _fonts() -> list[Check]:
    checks = []
    for title, package in (("Inter font", "fontpkg_inter"), ("Roboto Mono font", "fontpkg_roboto_mono")):
        there = importlib.util.find_spec(package) is not None
        remedy = "" if there else "python3 run.py adds it; the system's fonts are used meanwhile"
        checks.append(
            Check(title, "ok" if there else "note", "installed" if there else "not installed", remedy)
        )
    return checks


def _display() -> list[Check]:
    if sys.platform != "linux":
        return [Check("Display", "ok", sys.platform)]
    asked = os.environ.get("QT_QPA_PLATFORM", "")
    shown = asked or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or ""
    if shown:
        return [Check("Display", "ok", shown)]
    return [Check("Display", "note", "none", "start from a desktop, or: xvfb-run -a llmlab")]


def _workspace(root: Path) -> list[Check]:
    try:
        workspace = Workspace(root)
    except LabError as error:
        return [Check("Workspace", "missing", error.problem, error.remedy, needed=True)]
    problems = workspace.problems()
    checks = [Check("Workspace", "ok", f"{workspace.root}, {len(workspace.artifacts())} artifacts")]
    checks += [Check("Workspace", "note", problem.problem, problem.remedy) for problem in problems]
    free = shutil.disk_usage(workspace.root).free
    enough = free >= FREE_AT_LEAST
    remedy = "" if enough else "free some space, or choose another folder with --workspace"
    checks.append(Check("Free disk", "ok" if enough else "note", f"{free / 1e9:.1f} GB", remedy))
    return checks


def _machine() -> list[Check]:
    memory = psutil.virtual_memory().total
    cores = psutil.cpu_count(logical=True) or 1
    enough = memory >= MEMORY_AT_LEAST
    return [
        Check("Processor cores", "ok", str(cores)),
        Check(
            "Memory",
            "ok" if enough else "note",
            f"{memory / 1e9:.1f} GB",
            "" if enough else "close other programs",
        ),
    ]
