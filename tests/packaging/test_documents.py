"""README, CONTRIBUTING, CHANGELOG and NOTICE: their commands run, their files exist, their names are right."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import commands
import environment

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHEAP = {"help", "bundle", "--"}  # run here as they stand; the others set up, test or check for minutes


def shell_lines(text: str) -> list[str]:
    """The commands of every block of shell, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r" +#.*", "", line) for line in "".join(blocks).splitlines() if line.strip()]


COMMANDS = sorted({*shell_lines(README), *shell_lines(CONTRIBUTING)})


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_in_the_documents_exists(line: str) -> None:
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    if words[0] == ".ci/run":
        assert (ROOT / words[0]).is_file()
        return
    assert words[:2] == ["python3", "run.py"]
    name = words[2] if len(words) > 2 else ""
    assert not name or f"run.py {name}" in commands.HELP


def test_the_cheap_commands_of_the_readme_work(tmp_path: Path) -> None:
    """In their order: the last one uses the tokenizer that the one before it made."""
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}  # also where the app is not installed
    ran = 0
    for line in shell_lines(README):
        words = shlex.split(line)
        if words[:2] != ["python3", "run.py"] or words[2:3] == [] or words[2] not in CHEAP:
            continue
        command = (
            [str(ROOT / "run.py"), *words[2:]] if words[2] != "--" else ["-P", "-m", "labapp", *words[3:]]
        )
        said = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
        )
        assert said.returncode == 0, f"{line}\n{said.stdout}{said.stderr}"
        assert said.stdout.strip()
        ran += 1
    assert ran >= 4


def test_the_documents_link_to_files_that_are_there() -> None:
    for text in (README, CONTRIBUTING):
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / target).exists(), target
        for name in re.findall(r"\b([\w/.-]+\.(?:md|toml|py|txt))\b", text):
            if name in ("reports/3.json", "tinyshakespeare.txt", "merges.txt") or "NOUN" in name:
                continue
            assert (ROOT / name).exists(), name


def test_the_changelog_starts_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    first = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first.group(1) == version


def test_the_notice_names_every_data_package_with_its_version() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    lines = (ROOT / "packaging" / "requirements-data.txt").read_text(encoding="utf-8")
    for package in environment.read_data_packages(lines):
        version = re.search(r"==(\S+)", package.line)
        assert version is not None
        assert f"package {package.name} {version.group(1)}" in notice
    assert "Apache-2.0" in notice
    assert "SIL Open Font License 1.1" in notice


def test_the_sizes_in_the_readme_are_those_that_the_set_up_says() -> None:
    source = (ROOT / "packaging" / "environment.py").read_text(encoding="utf-8")
    assert "2.7 GB to fetch, 6.5 GB on disk" in source
    assert "2.7 GB to fetch, 6.5 GB on disk" in README
    assert "| 190 MB |" in README
    assert "190 MB to fetch" in source
