"""The right column of the Learn page: the next merge, the ordered merges, the vocabulary, and one token."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from core.tokenizer.explain import MergeNode, TokenUse
from labapp.labs.tokenizer.history import History
from labapp.widgets.merge_tree import MergeTree
from labapp.widgets.parts import label
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr


class LearnDetails(QWidget):
    """Follows the step that is shown; a token chosen in any of its tables is told to the page."""

    token_chosen = Signal(int)
    step_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._history: History | None = None
        self._step = 0
        self._pair_ids: list[int] = []
        self._vocabulary: Sequence[int] = ()
        self._build_tables()
        self._build_token()
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 6, 14, 8)
        column.setSpacing(4)
        column.addWidget(self._heading)
        column.addWidget(self._tabs)
        column.addWidget(self._tables, 1)
        column.addSpacing(6)
        for widget in (self._token_title, self._tree, self._facts, self._words):
            column.addWidget(widget)

    def _build_tables(self) -> None:
        self._heading = label("", "heading", wrap=True)
        self._tabs = QTabBar()
        self._tabs.setDrawBase(False)
        self._tabs.setExpanding(False)
        for title in (tr("Pairs"), tr("Merges"), tr("Vocabulary")):
            self._tabs.addTab(title)
        self._tabs.setAccessibleName(tr("What the table shows"))
        self._tabs.setToolTip(tr("What the table shows"))
        self.pairs = Table(
            tr("Most frequent pairs"),
            [
                Column(tr("Pair"), mono=True, stretch=True),
                Column(tr("Count"), number=True),
                Column(tr("Share"), number=True),
                Column(""),
            ],
        )
        self.merges = Table(
            tr("Merges in order"),
            [
                Column(tr("No."), number=True),
                Column(tr("Pair"), mono=True),
                Column(tr("becomes"), mono=True, bold=True, stretch=True),
                Column(tr("Count"), number=True),
            ],
        )
        self.vocabulary = Table(
            tr("Vocabulary"),
            [
                Column(tr("Id"), number=True),
                Column(tr("Token"), mono=True, stretch=True),
                Column(tr("Bytes"), number=True),
            ],
        )
        self.pairs.row_chosen.connect(self._pair_chosen)
        self.merges.row_chosen.connect(lambda row: self.step_chosen.emit(row + 1))
        self.vocabulary.row_chosen.connect(lambda row: self.token_chosen.emit(self._vocabulary[row]))
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search the vocabulary"))
        self.search.setAccessibleName(tr("Search the vocabulary"))
        self.search.setToolTip(tr("Tokens that hold this text; a number finds the id"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _: self._fill())
        vocabulary = QWidget()
        inner = QVBoxLayout(vocabulary)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.search)
        inner.addWidget(self.vocabulary, 1)
        self._tables = QStackedWidget()
        for widget in (self.pairs, self.merges, vocabulary):
            self._tables.addWidget(widget)
        self._tabs.currentChanged.connect(self._tables.setCurrentIndex)
        self._tabs.currentChanged.connect(lambda _: self._fill())

    def _build_token(self) -> None:
        self._token_title = label("", "heading")
        self._tree = MergeTree(visible)
        self._facts = label("", "small", wrap=True)
        self._words = label("", "small", wrap=True)

    # What is shown.

    def show_nothing(self, text: str) -> None:
        """Say why nothing is shown: a question must not be answered by the table."""
        self._history = None
        self._heading.setText(text)
        self._fill()
        self.show_token(None, None, 0)

    def show_step(self, history: History | None, step: int, reason: str) -> None:
        """Show the state after `step` merges; `reason` is said where no merge follows."""
        self._history, self._step = history, step
        if history is None:
            self._heading.setText("")
        elif step < len(history.merges):
            merge = history.merges[step]
            pair = f"{visible(history.token(merge.left))} + {visible(history.token(merge.right))}"
            made = visible(history.token(merge.left) + history.token(merge.right))
            self._heading.setText(tr("Next merge: {pair} → {made}", pair=pair, made=made))
        else:
            self._heading.setText(reason or tr("Counting pairs …"))
        self._fill()

    def _fill(self) -> None:
        if self._history is None:
            for table in (self.pairs, self.merges, self.vocabulary):
                table.set_rows([])
            return
        (self._fill_pairs, self._fill_merges, self._fill_vocabulary)[self._tabs.currentIndex()](self._history)

    def _fill_pairs(self, history: History) -> None:
        rows: list[tuple[str, ...]] = []
        self._pair_ids = []
        leading = history.leading(self._step)
        tokens = max(1, history.corpus_tokens(self._step))
        tied = int((leading[:, 2] == leading[0, 2]).sum()) if len(leading) else 0
        for i, (left, right, count) in enumerate(leading.tolist()):
            a, b = history.token(left), history.token(right)
            tie = tr("tie") if i < tied and tied > 1 else ""
            share = f"{100 * count / tokens:.2g} %"
            rows.append((f"{visible(a)} + {visible(b)}", f"{count:,}", share, tie))
            self._pair_ids.append(left)
        self.pairs.set_rows(rows, choose=0 if self._step < len(history.merges) else None)

    def _fill_merges(self, history: History) -> None:
        def row_at(i: int) -> tuple[str, ...]:
            merge = history.merges[i]
            a, b = history.token(merge.left), history.token(merge.right)
            return f"{i + 1:,}", f"{visible(a)} + {visible(b)}", visible(a + b), f"{merge.count:,}"

        self.merges.rows.set_source(self._step, row_at)
        self.merges.scrollToBottom()

    def _fill_vocabulary(self, history: History) -> None:
        size = history.vocab_size(self._step)
        needle = self.search.text()
        if needle:
            wanted = needle.replace("␣", " ").replace("⏎", "\n").encode("utf-8", "ignore")
            self._vocabulary = [
                i
                for i in range(size)
                if wanted in history.token(i) or (needle.isdigit() and int(needle) == i)
            ]
        else:
            self._vocabulary = range(size - 1, -1, -1)

        def row_at(i: int) -> tuple[str, ...]:
            token_id = self._vocabulary[i]
            return f"{token_id:,}", visible(history.token(token_id)), f"{len(history.token(token_id)):,}"

        self.vocabulary.rows.set_source(len(self._vocabulary), row_at)

    def _pair_chosen(self, row: int) -> None:
        """A pair that is not merged yet has no token; its left half is shown."""
        if row < len(self._pair_ids):
            self.token_chosen.emit(self._pair_ids[row])

    def show_token(self, node: MergeNode | None, use: TokenUse | None, step: int) -> None:
        """Show where a token comes from, and how often it stands in the corpus."""
        for widget in (self._token_title, self._tree, self._facts, self._words):
            widget.setVisible(node is not None)
        if node is None:
            return
        self._token_title.setText(tr("Where “{token}” comes from", token=visible(node.bytes)))
        self._tree.set_root(node)
        bytes_shown = node.bytes[:12].hex(" ").upper() + (" …" if len(node.bytes) > 12 else "")
        facts = tr("id {id:,} · {n} bytes: {bytes}", id=node.id, n=len(node.bytes), bytes=bytes_shown)
        if use is not None:
            facts += "\n" + tr(
                "{count:,} times after {step:,} merges, in {distinct:,} of the words",
                count=use.count, step=step, distinct=use.distinct,
            )  # fmt: skip
            words = "  ".join(f"{visible(word[:24])} {count:,}" for word, count in use.words[:6])
            self._words.setText(tr("First words: {words}", words=words) if words else "")
        else:
            self._words.setText("")
        self._facts.setText(facts)
