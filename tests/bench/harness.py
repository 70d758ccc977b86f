"""The frame of every bench: both sides in one run, five times, and no figure without equal answers.

A bench is a module with a list of `Case`s and `sys.exit(main(...))`; `python run.py bench NAME` runs it.
A case's two sides are timed in turns, so that a busy moment of the machine hits both. The ratio is that of
the medians. Exit status 1 says that the two sides did not give the same answer.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPEATS = 5


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        name: Short name, as `--case` takes it.
        work: What both sides do, in words.
        ours: Does it our way and returns the answer.
        theirs: Does it the peer's way and returns the answer.
        bar: The largest ratio of our time to theirs that we accept (DESIGN 10).
    """

    name: str
    work: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    bar: float


def main(title: str, peer: str, packages: Sequence[str], threads: int, make: Callable[[], list[Case]]) -> int:
    """Run the cases that the command line asks for, print the figures, return the exit status.

    Args:
        title: What is measured.
        peer: What we are compared with.
        packages: Distributions whose versions the figures depend on.
        threads: Threads that each side may use.
        make: Prepares the cases (texts, files); not timed.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line; the last is the summary"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--case", action="append", help="only this case; can be given more than once")
    parser.add_argument(
        "--memory", choices=("ours", "theirs"), help=argparse.SUPPRESS
    )  # a child, see `_peak`
    wanted = parser.parse_args()
    cases = [case for case in make() if not wanted.case or case.name in wanted.case]
    if wanted.memory:
        before = _high_water()
        getattr(cases[0], wanted.memory)()
        print(json.dumps((_high_water() or 0) - (before or 0) if before else None))
        return 0
    about = {"bench": title, "peer": peer, "threads": threads, "repeats": wanted.repeats, **machine(packages)}
    if not wanted.json:
        print("\n".join(f"{key}: {value}" for key, value in about.items()))
    results = []
    for case in cases:
        results.append(measure(case, wanted.repeats))
        print(json.dumps(results[-1]) if wanted.json else _shown(results[-1]), flush=True)
    same = all(result["same_answer"] for result in results)
    if wanted.json:
        print(json.dumps({**about, "same_answers": same, "bars_met": all(r["bar_met"] for r in results)}))
    return 0 if same else 1


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Time both sides in turns and compare their answers each time."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    same = True
    for _ in range(repeats):
        answers = []
        for side in ("ours", "theirs"):
            start = time.perf_counter()
            answers.append(getattr(case, side)())
            times[side].append(time.perf_counter() - start)
        same = same and answers[0] == answers[1]
    seconds = {side: _spread(values) for side, values in times.items()}
    ratio = seconds["ours"]["median"] / seconds["theirs"]["median"]
    return {
        "case": case.name,
        "work": case.work,
        "seconds": seconds,
        "ratio": round(ratio, 3),
        "bar": case.bar,
        "bar_met": ratio <= case.bar,
        "same_answer": same,
        "peak_bytes": {side: _peak(case.name, side) for side in times},
    }


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }


def _shown(result: dict[str, Any]) -> str:
    lines = [f"\n{result['case']}: {result['work']}"]
    for side in ("ours", "theirs"):
        spread, peak = result["seconds"][side], result["peak_bytes"][side]
        memory = f"; peak memory {peak / 2**20:,.0f} MB above the start" if peak is not None else ""
        lines.append(
            f"  {side:<6} median {spread['median']:.3f} s (min {spread['min']:.3f}, max {spread['max']:.3f}){memory}"
        )
    verdict = "met" if result["bar_met"] else "MISSED"
    answer = "the same answer" if result["same_answer"] else "DIFFERENT ANSWERS"
    lines.append(f"  ratio  {result['ratio']:.2f} (bar {result['bar']:.2f}: {verdict}); {answer}")
    return "\n".join(lines)


def _peak(case: str, side: str) -> int | None:
    """The peak memory of one side in a process of its own, in bytes above where it began; None: not known."""
    if _high_water() is None:
        return None
    module = sys.modules["__main__"].__spec__
    if module is None:
        return None
    command = [sys.executable, "-m", module.name, "--case", case, "--memory", side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


def _high_water() -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
