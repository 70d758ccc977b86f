"""Nothing that can run is loaded: by what the source says, and by files that pretend to be something else."""

from __future__ import annotations

import ast
import io
import json
import pickle
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import core
import labapp
from tests.faults.small_files import gguf, tokenizer_json

MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "code",
    "codeop",
}
CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
LOADERS = {
    "torch.load",
    "torch.save",
    "yaml.load",
    "yaml.unsafe_load",
    "joblib.load",
    "torch.jit.load",
    "torch.export.load",
}
FLAGS = {"allow_pickle", "trust_remote_code", "weights_only"}
MATCHERS = {
    "compile",
    "match",
    "search",
    "fullmatch",
    "sub",
    "subn",
    "split",
    "findall",
    "finditer",
    "template",
}
PATTERN_FILES = {"core/tokenizer/patterns.py"}  # the table of known patterns compiles itself

SOURCES = sorted(
    (path, f"{root.name}/{path.relative_to(root).as_posix()}")
    for root in (Path(core.__file__).parent, Path(labapp.__file__).parent)
    for path in root.rglob("*.py")
)


def faults(source: str, name: str = "x.py") -> list[str]:
    """What the source says that may load or run foreign code, or compile a pattern that is no constant."""
    tree = ast.parse(source)
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and node.value is not None and _constant(node.value, set())
    }
    return [f"{name}:{line}: {what}" for line, what in _faults(tree, constants, name)]


def _faults(tree: ast.Module, constants: set[str], name: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"import {a.name}") for a in node.names if a.name.split(".")[0] in MODULES
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.lineno, f"from {node.module}"
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value in MODULES - {"code"}
        ):
            yield node.lineno, f"the name {node.value} in a string"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS | LOADERS or (
                isinstance(node.func, ast.Attribute) and node.func.attr in LOADERS
            ):
                yield node.lineno, f"{called}()"
            for keyword in node.keywords:
                if keyword.arg in FLAGS and ast.unparse(keyword.value) != "False":
                    yield node.lineno, f"{keyword.arg} in {called}()"
            module, _, function = called.rpartition(".")
            compiles = module in ("re", "regex") and function in MATCHERS
            if (
                compiles
                and name not in PATTERN_FILES
                and not (node.args and _constant(node.args[0], constants))
            ):
                yield node.lineno, f"{called}() of what is no constant"


def _constant(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression is made of literals and of the module's own constants."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in names
        case ast.BinOp(left=left, right=right):
            return _constant(left, names) and _constant(right, names)
        case ast.JoinedStr(values=values):
            return all(_constant(v.value if isinstance(v, ast.FormattedValue) else v, names) for v in values)
        case _:
            return False


@pytest.mark.parametrize(("path", "name"), SOURCES, ids=[name for _, name in SOURCES])
def test_no_source_file_loads_or_runs_what_is_foreign(path: Path, name: str) -> None:
    assert faults(path.read_text(encoding="utf-8"), name) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import joblib", "importlib.import_module('pickle')",
        "eval(x)", "exec(x)", "compile(x, '', 'exec')", "torch.load(f)", "torch.load(f, weights_only=True)", "yaml.load(f)",
        "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)", "AutoModel.from_pretrained(n, trust_remote_code=True)",
        "re.compile(found)", "regex.match(value['pattern'], text)", "def f(p):\n    return re.search(f'{p}+', text)",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert faults(source)


def test_the_search_leaves_alone_what_is_right() -> None:
    assert not faults(
        "A = 'a+'\nB = re.compile(A + 'b')\nre.sub('x', y, z)\nmenu.exec()\nnp.load(f, allow_pickle=False)"
    )


# Pickles in disguise


class _Bomb:
    """An object whose unpickling would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def _disguises(canary: Path) -> dict[str, bytes]:
    bomb = pickle.dumps(_Bomb(canary), protocol=4)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", bomb)
    objects = io.BytesIO()
    np.save(objects, np.array([_Bomb(canary)], dtype=object), allow_pickle=True)
    return {
        "tokenizer.json": bomb,  # P1
        "vocabulary.json": archive.getvalue(),  # what torch.save writes
        "old.json": pickle.dumps(_Bomb(canary), protocol=0),  # text that begins with a letter
        "model.gguf": archive.getvalue(),
        "polyglot.gguf": gguf() + archive.getvalue(),  # P2: a ZIP is found from its end
        "polyglot.tiktoken": archive.getvalue(),
        "ranks.tiktoken": bomb,
        "pytorch_model.bin": archive.getvalue(),  # P3
        "tokenizer.pkl": bomb,
        "array.npy": objects.getvalue(),  # P4
        "model.safetensors": archive.getvalue(),
        "trailing.json": tokenizer_json() + archive.getvalue(),
    }


def test_pickles_in_disguise_are_refused_before_any_unpickler_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    folder = tmp_path / "files"
    folder.mkdir()
    disguises = _disguises(canary)
    for name, content in disguises.items():
        (folder / name).write_bytes(content)
    program = """
        import json, sys
        from pathlib import Path
        from core.problems import LabError
        from core.tokenizer.reading import read_tokenizer
        events, watched = [], {"pickle.find_class"}
        sys.addaudithook(lambda event, _args: events.append(event) if event in watched else None)
        outcomes = {}
        for _ in range(2):  # the first round imports what is imported late, and importing runs code
            for path in sorted(Path(sys.argv[1]).iterdir()):
                try:
                    read_tokenizer(path, pattern="gpt2")
                    outcomes[path.name] = "loaded"
                except LabError as error:
                    outcomes[path.name] = error.problem
            watched |= {"exec", "compile", "import", "marshal.loads", "subprocess.Popen", "os.system", "os.exec"}
        if sys.argv[2] == "prove":
            import pickle
            pickle.loads((Path(sys.argv[1]) / "tokenizer.json").read_bytes()).close()
        print(json.dumps([outcomes, events]))
    """
    root = Path(core.__file__).parent.parent
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder)]
    ran = subprocess.run(
        [*command, "read"], cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    outcomes, events = json.loads(ran.stdout)
    assert events == []
    assert not canary.exists()
    assert set(outcomes) == set(disguises)
    for name, problem in outcomes.items():
        assert problem.startswith(name), (name, problem)
    for name in ("tokenizer.json", "vocabulary.json", "pytorch_model.bin", "tokenizer.pkl"):
        assert "ZIP archive or a pickle" in outcomes[name]
    proved = subprocess.run(
        [*command, "prove"], cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    assert "pickle.find_class" in json.loads(proved.stdout)[1]
    assert canary.exists()  # the bomb would have worked
