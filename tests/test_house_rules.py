"""The rules of the house (DESIGN 2 and 9), each as a test over every file there is now and every one to come.

Each rule that reads source is a function from a syntax tree to faults. `BAD` holds one line that breaks each
of them, and a test that it is caught: a rule that catches nothing is no rule.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "core").rglob("*.py"))
LABAPP = sorted((ROOT / "labapp").rglob("*.py"))
SHIPPED = CORE + LABAPP
PROSE = "labapp/widgets/prose.py"  # the one file that may turn marked-up text into rich text
HEAVY = {
    "torch",
    "sklearn",
    "scipy",
    "gguf",
    "sqlalchemy",
    "transformers",
    "tokenizers",
    "datasets",
    "trl",
    "peft",
}
ORACLES = {"transformers", "tokenizers", "datasets", "trl", "peft", "hypothesis", "pytest", "llama_cpp"}
NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "urllib3", "httpx", "aiohttp"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}

Fault = tuple[int, str]
Rule = Callable[[ast.Module], Iterator[Fault]]


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call and the last part of the called name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield node, name


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every imported module, by its full name; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def at_start(tree: ast.Module) -> ast.Module:
    """What runs when a module is imported: everything outside functions and outside `if TYPE_CHECKING`."""

    class Outside(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]
        visit_Lambda = visit_FunctionDef  # type: ignore[assignment]

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)

    return Outside().visit(ast.parse(ast.unparse(tree)))


# The rules


def no_print(tree: ast.Module) -> Iterator[Fault]:
    for call, name in calls(tree):
        if name == "print" and isinstance(call.func, ast.Name):
            yield call.lineno, "core prints nothing: it yields events"


def no_window_or_thread_in_core(tree: ast.Module) -> Iterator[Fault]:
    banned = {
        "PySide6",
        "shiboken6",
        "pyqtgraph",
        "labapp",
        "threading",
        "multiprocessing",
        "concurrent",
        "asyncio",
    }
    for node, name in imports(tree):
        if name.split(".")[0] in banned:
            yield node.lineno, f"core imports no {name}"


def no_global_chance(tree: ast.Module) -> Iterator[Fault]:
    for call, _ in calls(tree):
        called = ast.unparse(call.func)
        if re.fullmatch(
            r"(random|np\.random|numpy\.random)\.(?!Random$|Generator$|default_rng$|SystemRandom$)\w+", called
        ):
            yield (
                call.lineno,
                f"{called} draws from the global source of chance: take a generator as an argument",
            )
        if re.fullmatch(r"torch\.(manual_seed|set_grad_enabled|set_default_dtype|set_num_threads)", called):
            yield call.lineno, f"{called} switches what everybody shares"


def heavy_imports_wait(tree: ast.Module) -> Iterator[Fault]:
    for node, name in imports(at_start(tree)):
        if name.split(".")[0] in HEAVY:
            yield node.lineno, f"{name} is imported when the window starts: import it where it is used"


def no_oracle(tree: ast.Module) -> Iterator[Fault]:
    for node, name in imports(tree):
        if name.split(".")[0] in ORACLES:
            yield node.lineno, f"{name} is an oracle of the tests and is not installed with the app"


def no_rich_text(tree: ast.Module) -> Iterator[Fault]:
    sinks = {
        "setHtml",
        "setMarkdown",
        "insertHtml",
        "appendHtml",
        "insertMarkdown",
        "fromHtml",
        "fromMarkdown",
    }
    for call, name in calls(tree):
        if name in sinks:
            yield call.lineno, f"{name} outside {PROSE}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("RichText", "MarkdownText", "AutoText"):
            yield node.lineno, f"{node.attr} outside {PROSE}"


def labels_are_plain(tree: ast.Module) -> Iterator[Fault]:
    """Qt guesses whether a label's text is HTML: each one made by hand must be told that it is not."""
    made = [call for call, name in calls(tree) if name in ("QLabel", "QMessageBox")]
    plain = sum(
        1 for call, name in calls(tree) if name == "setTextFormat" and "PlainText" in ast.unparse(call)
    )
    if len(made) > plain:
        yield (
            made[-1].lineno,
            "a QLabel or QMessageBox without setTextFormat(PlainText): use widgets.parts.label",
        )
    for call, _ in calls(tree):
        if re.fullmatch(
            r"QMessageBox\.(information|warning|critical|question|about)", ast.unparse(call.func)
        ):
            yield call.lineno, "a ready-made QMessageBox guesses whether its text is HTML"


def no_foreign_qt(tree: ast.Module) -> Iterator[Fault]:
    for node, name in imports(tree):
        if re.search(r"\bQt(Network|WebEngine\w*|WebView|Qml|Quick\w*)\b", name):
            yield node.lineno, f"{name} is not used in this house"


def no_network(tree: ast.Module) -> Iterator[Fault]:
    for node, name in imports(tree):
        if name.split(".")[0] in NETWORK and not re.match(r"urllib(\.parse|$)", name):
            yield node.lineno, f"{name} opens connections"


def no_pickle_and_nothing_executed(tree: ast.Module) -> Iterator[Fault]:
    for node, name in imports(tree):
        if name.split(".")[0] in PICKLES:
            yield node.lineno, f"{name} can execute what it reads"
    for call, _ in calls(tree):
        called = ast.unparse(call.func)
        if called in ("eval", "exec", "compile", "__import__", "torch.load", "torch.save", "yaml.load"):
            yield call.lineno, f"{called} can execute what it is given"
        if called in ("np.load", "numpy.load") and "allow_pickle=False" not in ast.unparse(call):
            yield call.lineno, "np.load without allow_pickle=False"
        for keyword in call.keywords:
            if keyword.arg in ("allow_pickle", "trust_remote_code") and ast.unparse(keyword.value) != "False":
                yield call.lineno, f"{keyword.arg} must be False"
        if called in (
            "subprocess.run",
            "subprocess.Popen",
            "subprocess.call",
        ) and "shell=True" in ast.unparse(call):
            yield call.lineno, "shell=True executes text"


SENTENCE_SINKS = {
    "setText": (0,), "setWindowTitle": (0,), "setToolTip": (0,), "setPlaceholderText": (0,), "setStatusTip": (0,),
    "setAccessibleName": (0,), "setAccessibleDescription": (0,), "setTitle": (0,), "setWhatsThis": (0,),
    "setLabel": (1,), "setInformativeText": (0,), "setHeaderLabels": (0,), "setHorizontalHeaderLabels": (0,),
    "showMessage": (0,), "show_note": (0,), "addAction": (0, 1), "addMenu": (0,), "addTab": (1,), "addRow": (0,),
    "addItem": (0,), "addItems": (0,), "insertTab": (2,), "setTabText": (1,),
    "QLabel": (0,), "QPushButton": (0,), "QToolButton": (0,), "QCheckBox": (0,), "QRadioButton": (0,),
    "QGroupBox": (0,), "QAction": (0, 1), "QMenu": (0,), "QDockWidget": (0,),
    "label": (0,), "button": (0,), "flat_button": (1,), "field": (0, 2),
}  # fmt: skip
SENTENCE_KEYWORDS = {"tip", "text", "title", "tooltip", "placeholder", "accessible_name"}


def sentences_are_translated(tree: ast.Module) -> Iterator[Fault]:
    for call, name in calls(tree):
        if name not in SENTENCE_SINKS:
            continue
        given = [call.args[place] for place in SENTENCE_SINKS[name] if place < len(call.args)]
        given += [keyword.value for keyword in call.keywords if keyword.arg in SENTENCE_KEYWORDS]
        for value in given:
            for text in bare_texts(value):
                if re.search(r"[^\W\d_]{2}", text):  # single letters are keys and paper symbols
                    yield call.lineno, f"{name}({text!r}) does not pass through tr"


def bare_texts(value: ast.expr) -> Iterator[str]:
    """The literal words of an argument; what is inside a call (such as tr) is that call's business."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield from (part.value for part in parts if isinstance(part, ast.Constant))
        case ast.BinOp(left=left, right=right):
            yield from bare_texts(left)
            yield from bare_texts(right)
        case ast.IfExp(body=left, orelse=right):
            yield from bare_texts(left)
            yield from bare_texts(right)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            for item in items:
                yield from bare_texts(item)


def no_assert(tree: ast.Module) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert vanishes under -O: raise a LabError for what a person gave"


RULES: list[tuple[Rule, list[Path]]] = [
    (no_print, CORE),
    (no_window_or_thread_in_core, CORE),
    (no_global_chance, CORE),
    (heavy_imports_wait, LABAPP),
    (no_oracle, SHIPPED),
    (no_rich_text, LABAPP),
    (labels_are_plain, LABAPP),
    (no_foreign_qt, SHIPPED),
    (no_network, SHIPPED),
    (no_pickle_and_nothing_executed, SHIPPED),
    (sentences_are_translated, LABAPP),
    (no_assert, SHIPPED),
]
JAILED = {no_rich_text, labels_are_plain}
BAD: dict[Rule, list[str]] = {
    no_print: ["def f():\n    print(1)"],
    no_window_or_thread_in_core: ["from PySide6.QtCore import Qt", "import threading", "from labapp import words"],
    no_global_chance: ["random.seed(1)", "np.random.normal()", "random.choice([1])", "torch.manual_seed(1)"],
    heavy_imports_wait: ["import torch", "from scipy import stats", "class A:\n    import sklearn.cluster"],
    no_oracle: ["def f():\n    import transformers"],
    no_rich_text: ["w.setHtml(t)", "w.insertHtml(t)", "w.setTextFormat(Qt.TextFormat.RichText)", "w.setMarkdown(t)"],
    labels_are_plain: ["a = QLabel(name)", "QMessageBox.warning(None, 'a', name)"],
    no_foreign_qt: ["from PySide6.QtNetwork import QTcpSocket", "from PySide6 import QtQml"],
    no_network: ["import socket", "from urllib.request import urlopen", "import http.client", "import requests"],
    no_pickle_and_nothing_executed: [
        "import pickle", "torch.load(f)", "eval(t)", "np.load(f)", "np.load(f, allow_pickle=True)",
        "load(trust_remote_code=flag)", "subprocess.run(t, shell=True)",
    ],
    sentences_are_translated: [
        "w.setText('Start')", "w.setToolTip(f'{n} tokens')", "QAction('Open', self)", "menu.addAction(icon, 'Open')",
        "label('Vocabulary')", "button('Go', f, tip=tr('x'))", "button(tr('Go'), f, tip='Goes')",
        "w.setText('on' if a else tr('off'))", "flat_button('close', 'Close')",
    ],
    no_assert: ["assert x > 0"],
}  # fmt: skip
GOOD = [
    "w.setText(tr('Start'))\nw.setText('')\nw.setText('×')\nw.setText(str(n))\nw.setText(f'{n:,}')",
    "def f():\n    import torch\n    import scipy",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
    "a = QLabel()\na.setTextFormat(Qt.TextFormat.PlainText)",
    "from urllib.parse import quote\nimport urllib.parse",
    "np.load(f, allow_pickle=False)\nre.compile('a')",
    "rng = np.random.default_rng(1)\nother = random.Random(1)",
]


@pytest.mark.parametrize(("rule", "files"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_every_file_keeps_the_rule(rule: Rule, files: list[Path]) -> None:
    assert files
    faults = [
        f"{file.relative_to(ROOT).as_posix()}:{line}: {what}"
        for file in files
        if not (rule in JAILED and file == ROOT / PROSE)
        for line, what in rule(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("rule", "line"),
    [(rule, line) for rule, lines in BAD.items() for line in lines],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_a_line_that_breaks_the_rule_is_caught(rule: Rule, line: str) -> None:
    assert list(rule(ast.parse(line)))


@pytest.mark.parametrize("source", GOOD)
def test_a_line_that_keeps_the_rules_is_left_alone(source: str) -> None:
    assert [fault for rule, _ in RULES for fault in rule(ast.parse(source))] == []


def test_every_rule_has_a_line_that_breaks_it() -> None:
    assert {rule for rule, _ in RULES} == set(BAD)
