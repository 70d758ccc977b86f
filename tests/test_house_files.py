"""The rules of the house that are seen from outside a file: what importing loads, and what files say."""

from __future__ import annotations

import ast
import importlib.util
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "core").rglob("*.py"))
SHIPPED = CORE + sorted((ROOT / "labapp").rglob("*.py"))
HEAVY = {"torch", "sklearn", "scipy", "gguf", "sqlalchemy", "transformers", "tokenizers", "tiktoken"}
BRITISH = (
    r"colour|quantis(e|ation)|neighbour|artefact|tokenis(e|ation|er)|behaviour|normalis(e|ation)|initialis(e|ation)"
    r"|optimis(e|er)|favourite|catalogu(ing|ed)|labelled|modelling|analyse\b|serialis(e|ation)|honour|centre\b"
)


# What importing really does


def modules(files: list[Path]) -> list[str]:
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.name != "__main__.py"
    ]
    return [name.removesuffix(".__init__") for name in names]


def loaded_by(names: list[str]) -> set[str]:
    """The modules that are loaded once `names` have been imported, in a process of their own."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*sys.modules, sep='\\n')"
    )
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *names], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    return set(said.stdout.split())


def test_core_loads_no_qt() -> None:
    loaded = {name.split(".")[0] for name in loaded_by(modules(CORE))}
    assert not loaded & {"PySide6", "shiboken6", "pyqtgraph", "qtawesome", "labapp"}
    assert "core" in loaded


def test_the_window_loads_nothing_heavy_and_no_lab() -> None:
    """A lab and what it needs load when its tab is first shown: so the window is up in about a second."""
    start = [name for name in ("labapp.window", "labapp.app", "labapp.cli") if importlib.util.find_spec(name)]
    loaded = loaded_by(start)
    assert not {name.split(".")[0] for name in loaded} & HEAVY
    labs = {f"labapp.labs.{file.stem}" for file in (ROOT / "labapp" / "labs").glob("[!_]*.py")}
    labs |= {f"labapp.labs.{file.parent.name}" for file in (ROOT / "labapp" / "labs").glob("*/__init__.py")}
    assert labs
    assert not loaded & labs


def test_no_lab_imports_another_lab() -> None:
    folder = ROOT / "labapp" / "labs"
    imported = re.compile(r"^\s*(?:from|import) labapp\.labs(?:\.| import )(\w+)", re.MULTILINE)
    faults = []
    for file in folder.glob("*/**/*.py"):
        own = file.relative_to(folder).parts[0]
        names = imported.findall(file.read_text(encoding="utf-8"))
        faults += [f"{file.name} imports {name}" for name in names if name not in (own, "Entry", "CATALOGUE")]
    for file in folder.glob("[!_]*.py"):
        names = imported.findall(file.read_text(encoding="utf-8"))
        faults += [f"{file.name} imports {name}" for name in names if name != file.stem]
    assert imported.findall("from labapp.labs.model import X\nfrom labapp.labs import chat") == [
        "model",
        "chat",
    ]
    assert not faults


# What a person reads in the files


def text_files() -> Iterator[Path]:
    skipped = {"shared", "reports", "build", "dist", "__pycache__"}
    for file in sorted(ROOT.rglob("*")):
        parts = file.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if (
            hidden
            or skipped & set(parts)
            or any(part.endswith(".egg-info") for part in parts)
            or not file.is_file()
        ):
            continue
        if (
            file.suffix in (".py", ".toml", ".md", ".json", ".txt", ".sh", ".cfg", "")
            and file.stat().st_size < 1_000_000
        ):
            yield file


def test_no_file_names_a_path_of_one_machine() -> None:
    machine_path = re.compile(r"/(?:work/main|work/shared|root/|opt/(?:wheels|pypi)|home/\w+/|Users/\w+/)")
    faults = [
        f"{file.relative_to(ROOT)}: {found.group()}"
        for file in text_files()
        if (found := machine_path.search(file.read_text(encoding="utf-8", errors="replace")))
    ]
    assert machine_path.search("/".join(["", "home", "ada", "lab"]))
    assert not faults


def test_every_module_says_what_it_does() -> None:
    files = [*SHIPPED, ROOT / "run.py", *(ROOT / "packaging").glob("*.py"), *(ROOT / "tests").rglob("*.py")]
    silent = [
        str(file.relative_to(ROOT))
        for file in files
        if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_spelling_is_american() -> None:
    files = [
        *SHIPPED,
        *(ROOT / "packaging").glob("*.py"),
        *ROOT.glob("*.md"),
        *(ROOT / "tests").rglob("*.py"),
    ]
    british = re.compile(rf"\b\w*({BRITISH})", re.IGNORECASE)
    faults = [
        f"{file.relative_to(ROOT)}:{number}: {found.group()}"
        for file in files
        if file != Path(__file__).resolve()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (found := british.search(line))
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_everything_that_is_installed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [
        p for extra in project["optional-dependencies"].values() for p in extra
    ]
    assert [line for line in wanted if not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+(; .+)?", line)] == []


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_no_test_opens_a_socket() -> None:
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)
