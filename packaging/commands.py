"""The commands of run.py: what each one does once the environment is there."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import machine
from environment import ROOT, Environment
from explain import explain_os_error
from machine import Trouble

PY = "py" if os.name == "nt" else "python3"
HELP = f"""LLM Lab

  {PY} run.py                         set up what is missing, then open the window
  {PY} run.py -- ARGUMENTS            the command line: the same as `llmlab ARGUMENTS`
  {PY} run.py setup                   set up only, and try again what could not be had before
  {PY} run.py test [--long] [...]     run the tests; other arguments go to pytest
  {PY} run.py check                   ruff, mypy and the import rules
  {PY} run.py bench [NAME] [...]      run a benchmark; without a name: which there are
  {PY} run.py bundle                  build the bundle for machines without Python
  {PY} run.py help                    this text

The set-up lives in .venv beside run.py and takes 2.3 GB; remove that folder to be rid of it.
"""
CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    ("import rules", ["importlinter.cli", "lint"]),
)


def main(arguments: list[str]) -> int:
    """Run one command of run.py; returns the exit status: 1 for what a person can mend, 2 for wrong usage."""
    with contextlib.suppress(AttributeError):  # a console that cannot show a sign must not end the set-up
        sys.stdout.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    commands = {
        "": lambda: open_window(),
        "--": lambda: command_line(rest),
        "setup": lambda: set_up(),
        "test": lambda: test(rest),
        "check": lambda: check(),
        "bench": lambda: bench(rest),
        "bundle": lambda: bundle(),
    }
    if name in ("help", "-h", "--help"):
        print(HELP, end="")
        return 0
    if name not in commands:
        print(f"run.py has no command {name!r}.\n\n{HELP}", end="", file=sys.stderr)
        return 2
    try:
        return commands[name]()
    except Trouble as trouble:
        print(f"\n{trouble}", file=sys.stderr)
    except OSError as error:
        print(f"\n{explain_os_error(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\nStopped. The next start sets up what is missing: {PY} run.py", file=sys.stderr)
        return 130
    return 1


def ready(part: str, display: bool = True, data_again: bool = False) -> Environment:
    """The environment with a part of it complete; what the system lacks is said before any fetching."""
    environment = Environment()
    complete = environment.has(part)
    trouble = machine.system_trouble(display=display, needs_venv=not environment.has("app"))
    if trouble:
        raise trouble
    if not complete:
        print(f"Setting up LLM Lab in {environment.folder} (pip's own words: setup.log there)")
    environment.ensure(part, data_again=data_again)
    return environment


def open_window() -> int:
    """Set up what is missing and become the app."""
    environment = ready("app")
    missing = environment.missing_data()
    if missing:
        print(f"Not installed: {', '.join(missing)}. To try again: {PY} run.py setup")
    trouble = machine.display_trouble() or machine.fonts_trouble(str(environment.site_packages))
    if trouble:
        raise trouble
    return become(environment, ["-m", "labapp"])


def command_line(arguments: list[str]) -> int:
    """Become the app's command line; it needs no display."""
    return become(ready("app", display=False), ["-m", "labapp", *arguments])


def set_up() -> int:
    """Set up, and say what is there."""
    environment = ready("app", data_again=True)
    missing = environment.missing_data()
    print(f"Set up in {environment.folder}." + (f" Left out: {', '.join(missing)}." if missing else ""))
    return 1 if missing else 0


def become(environment: Environment, arguments: list[str]) -> int:
    """Run the environment's Python in place of this one; -P: nothing is imported from the current folder."""
    command = [str(environment.python), "-P", *arguments]
    sys.stdout.flush()
    if os.name != "nt":  # Windows' execv would return to the shell at once
        os.execv(command[0], command)
    return subprocess.call(command)


def test(arguments: list[str]) -> int:
    """Run the tests on the display that is there, on a virtual one, or off screen."""
    environment = ready("test", display=False)
    with a_screen() as variables:
        command = [str(environment.python), "-m", "pytest", *arguments]
        return subprocess.call(command, cwd=ROOT, env={**os.environ, **variables})


@contextlib.contextmanager
def a_screen() -> Iterator[dict[str, str]]:
    """The variables that name a screen for tests: the one there is, our own Xvfb, or Qt's off-screen one."""
    if machine.display_trouble() is None:
        yield {}
        return
    server = shutil.which("Xvfb")
    if server is None or machine.missing_libraries(display=True):
        print("No display and no Xvfb: the tests draw off screen.")
        yield {"QT_QPA_PLATFORM": "offscreen"}
        return
    read, write = os.pipe()
    arguments = [
        server,
        "-displayfd",
        str(write),
        "-screen",
        "0",
        "1600x1200x24",
        "-nolisten",
        "tcp",
        "-noreset",
    ]
    process = subprocess.Popen(
        arguments, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write)
    try:
        with open(read, encoding="ascii") as pipe:
            number = pipe.readline().strip()  # Xvfb chooses a free number and writes it once it listens
        print(f"No display: the tests draw on a virtual one (Xvfb :{number}).")
        yield {"DISPLAY": f":{number}"} if number else {"QT_QPA_PLATFORM": "offscreen"}
    finally:
        process.terminate()
        process.wait()


def check() -> int:
    """Run every checker, also after one has failed; returns 1 where any did."""
    environment = ready("check", display=False)
    failed = []
    for title, command in CHECKS:
        print(f"== {title}")
        if subprocess.call(_checker(environment, command), cwd=ROOT):
            failed.append(title)
    print(f"check: {', '.join(failed)} failed" if failed else "check: all passed")
    return 1 if failed else 0


def _checker(environment: Environment, command: list[str]) -> list[str]:
    """A checker's command; import-linter has a script and no module of that name."""
    if command[0] == "importlinter.cli":
        script = environment.python.parent / ("lint-imports.exe" if os.name == "nt" else "lint-imports")
        return [str(script)]
    return [str(environment.python), "-m", *command]


def bench(arguments: list[str]) -> int:
    """Run tests/bench/NAME.py, or list what lies there."""
    known = benches()
    name = arguments[0] if arguments else ""
    if name not in known:
        if name:
            print(f"There is no benchmark {name!r}. There are:", file=sys.stderr)
        width = max(map(len, known), default=0)
        for bench_name, promise in known.items():
            print(f"  {PY} run.py bench {bench_name:{width}}   {promise}")
        if not known:
            print("There is no benchmark yet.")
        return 2 if name else 0
    environment = ready("test", display=False)
    command = [str(environment.python), "-m", f"tests.bench.{name}", *arguments[1:]]
    with a_screen() as variables:
        return subprocess.call(command, cwd=ROOT, env={**os.environ, **variables})


def benches(folder: Path = ROOT / "tests" / "bench") -> dict[str, str]:
    """The benchmarks and the first line of what each says of itself."""
    found = {}
    for file in sorted(folder.glob("*.py")):
        source = file.read_text(encoding="utf-8")
        if re.search(r"^if __name__ == ['\"]__main__", source, re.MULTILINE):
            found[file.stem] = (ast.get_docstring(ast.parse(source)) or "").split("\n")[0]
    return found


def bundle() -> int:
    """Say that the bundle does not exist yet."""
    raise Trouble(
        "The bundle for machines without Python does not exist yet.",
        f"Until then: {PY} run.py sets the app up on a machine that has Python and a network.",
    )
