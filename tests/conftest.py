"""What every test is given: two rhythms, fixed seeds, no network, and a report of figures.

`--long` runs the counts that an issue names and writes them, with the machine and what was skipped, to
reports/3.json (or the file that LLMLAB_REPORT names). The leak gate for windows is in tests/labapp/conftest.py.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

collect_ignore = ["oracles/llama_cpp_child.py"]  # a program for a process of its own
ROOT = Path(__file__).resolve().parent.parent
SEED = 20_240_229
FIGURES: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
SECONDS: pytest.StashKey[dict[str, float]] = pytest.StashKey()
BEGAN: pytest.StashKey[float] = pytest.StashKey()

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in _SCREENS):
    os.environ["QT_QPA_PLATFORM"] = "offscreen"  # `pytest` alone, without run.py and its virtual screen


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the counts that the issue names, and write them to reports/"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = {}
    config.stash[SECONDS] = defaultdict(float)
    config.stash[BEGAN] = time.monotonic()
    # The same examples on every run: a failure that one person sees, everyone sees. --long looks at many more.
    hypothesis.settings.register_profile(
        "short", derandomize=True, deadline=None, database=None, max_examples=40
    )
    hypothesis.settings.register_profile(
        "long", derandomize=True, deadline=None, database=None, max_examples=2000
    )
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "short")


# Fixtures


@pytest.fixture(autouse=True)
def _same_chances_every_time() -> None:
    """Seed every source of chance before each test."""
    random.seed(SEED)
    for name in ("numpy", "torch"):  # only what somebody has imported: importing torch takes seconds
        module = sys.modules.get(name)
        if module is not None:
            (module.random.seed if name == "numpy" else module.manual_seed)(SEED)


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the long counts were asked for."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def count(long: bool) -> Callable[[int, int], int]:
    """`count(small, long)`: the one of the two counts that this run is for."""
    return lambda small, many: many if long else small


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """`report(name, value)`: a figure for the end of the run and, with --long, for the report file."""
    figures = request.config.stash[FIGURES]

    def add(name: str, value: Any) -> None:
        figures[name] = value

    return add


@pytest.fixture(scope="session")
def shakespeare() -> Path:
    """The 1.1 MB of tinyshakespeare; skips where the file is not there (it is not in this repository)."""
    named = os.environ.get("LLMLAB_CORPORA")
    folders = [Path(named)] if named else [ROOT / "shared" / "corpora", ROOT.parent / "shared" / "corpora"]
    for folder in folders:
        if (folder / "tinyshakespeare.txt").is_file():
            return folder / "tinyshakespeare.txt"
    pytest.skip("tinyshakespeare.txt is not here; LLMLAB_CORPORA may name the folder that holds it")


# The end of a run: time of each folder, figures, report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    began = time.monotonic()
    try:
        return (yield)
    finally:
        item.config.stash[SECONDS][_folder_of(item)] += time.monotonic() - began


def _folder_of(item: pytest.Item) -> str:
    try:
        folder = item.path.parent.relative_to(item.config.rootpath)
    except ValueError:
        return "elsewhere"
    return (
        folder.as_posix()
        if folder.parts and folder.parts[0] == "tests"
        else f"{folder.as_posix()} (doctests)"
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    seconds = config.stash[SECONDS]
    if len(seconds) > 1 or config.getoption("--long"):
        terminalreporter.section("time of each test folder")
        for folder in sorted(seconds):
            terminalreporter.write_line(f"{seconds[folder]:8.1f} s  {folder}")
    figures = config.stash[FIGURES]
    if figures:
        terminalreporter.section("figures")
        for name, value in sorted(figures.items()):
            terminalreporter.write_line(f"{name}: {value}")
    if config.getoption("--long"):
        file = _write_report(terminalreporter, config)
        terminalreporter.write_line(f"report: {file}")


def _write_report(terminalreporter: Any, config: pytest.Config) -> Path:
    stats = terminalreporter.stats
    skipped = Counter(_reason(test) for test in stats.get("skipped", []))
    kinds = ("passed", "failed", "error", "xfailed", "xpassed")
    counts = {kind: len(stats.get(kind, [])) for kind in kinds}
    facts = {
        "commit": _commit(),
        "command": " ".join(["pytest", *config.invocation_params.args]),
        "machine": _machine(),
        "seconds": round(time.monotonic() - config.stash[BEGAN], 1),
        "counts": {**counts, "skipped": sum(skipped.values())},
        "skips": dict(sorted(skipped.items())),
        "failures": [test.nodeid for kind in ("failed", "error") for test in stats.get(kind, [])],
        "seconds_by_folder": {k: round(v, 1) for k, v in sorted(config.stash[SECONDS].items())},
        "figures": dict(sorted(config.stash[FIGURES].items())),
    }
    file = Path(os.environ.get("LLMLAB_REPORT", ROOT / "reports" / "3.json"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(facts, indent=2, default=str) + "\n", encoding="utf-8")
    return file


def _reason(test: Any) -> str:
    return (
        test.longrepr[2].removeprefix("Skipped: ") if isinstance(test.longrepr, tuple) else str(test.longrepr)
    )


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:  # a machine without git
        said = ""
    return said or "unknown"


def _machine() -> dict[str, Any]:
    import psutil

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
