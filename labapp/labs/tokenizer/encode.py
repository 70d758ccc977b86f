"""Encode: a text as colored tokens with their ids, and the merges of one word, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QTextCursor
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QSlider,
    QSpinBox,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from core.formats.files import read_text, write_new
from core.problems import LabError
from core.tokenizer.compare import chunks
from core.tokenizer.explain import WordStep, explain_word, merge_tree
from core.tokenizer.samples import load_sample, load_samples
from core.tokenizer.starts import Encoded, encode_text, word_spans
from core.tokenizer.tokenizer import Tokenizer
from labapp.labs.tokenizer.choose import TokenizerPicker
from labapp.pages import LabPage
from labapp.theme import theme_of
from labapp.widgets.merge_tree import MergeTree
from labapp.widgets.parts import button, card, controls, field, inset, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.table import Column, Table
from labapp.widgets.token_chips import TokenChips
from labapp.widgets.token_text import Token, TokenText, visible
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab

FILE_AT_MOST = 50_000_000  # bytes of a text file
EDITED_AT_MOST = 200_000  # characters that the editor holds
LONGEST_WORD = 400  # bytes of a word whose merges are stepped
PAUSE = 150  # ms after a key before the text is encoded again


class EncodePage(LabPage):
    """A text above, its tokens below, one word's merges at the bottom; a table of tokens on the right."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.encoded: Encoded | None = None
        self._file_text: str | None = None
        self._steps: list[WordStep] = []
        self._word = b""
        self._spans: dict[bytes, list[tuple[int, int]]] = {}
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._connect()

    # Assembly.

    def _build_controls(self) -> None:
        self.sample = Picker(tr("Text"), self._choices)
        self.sample.set_title(tr("Your own text"))
        self.picker = TokenizerPicker(tr("Tokenizer"), self.context, self.lab.learn.tokenizer)
        self.picker.set_title(tr("Choose one"))
        self.signs = QCheckBox(tr("Show white space"))
        self.signs.setToolTip(tr("Show spaces, tabs and line breaks as signs"))
        self.special = QCheckBox(tr("Recognize special tokens"))
        self.special.setToolTip(tr("Off: <|endoftext|> in your text is text. On: it is one token"))
        self.notice = label("", "secondary", wrap=True)
        self.copy_button = button(
            tr("Copy ids"), self.copy_ids, tip=tr("Copy the ids of all tokens, with commas")
        )
        self.chunk_size = QSpinBox()
        self.chunk_size.setRange(1, 1_000_000)
        self.chunk_size.setValue(512)
        inset(self.chunk_size)
        self.chunk_size.setGroupSeparatorShown(True)
        self.chunk_button = button(
            tr("Split…"),
            lambda: self.lab.attempt(self.split),
            tip=tr("Save the text in pieces of at most so many tokens"),
        )
        row = QHBoxLayout()
        row.addWidget(
            field(
                tr("Tokens per piece"), self.chunk_size, tr("Tokens in a piece at most. More: fewer pieces")
            ),
            1,
        )
        row.addWidget(self.chunk_button, 0, Qt.AlignmentFlag.AlignBottom)
        self.controls = controls(
            field(tr("Text"), self.sample, tr("A sample, or your own text")),
            field(tr("Tokenizer"), self.picker, tr("Whose tokens are shown")),
            self.signs,
            self.special,
            self.notice,
            self.copy_button,
            row,
        )

    def _build_picture(self) -> None:
        self.editor = QPlainTextEdit()
        self.editor.setPlaceholderText(tr("Type or paste a text"))
        self.editor.setAccessibleName(tr("Text to encode"))
        self.editor.setToolTip(tr("What you type is encoded at once"))
        self.editor.setTabChangesFocus(True)
        self.editor.setMaximumHeight(130)
        self.editor.setMinimumHeight(54)
        self.counts = label("", "heading")
        self.view = TokenChips()
        self.word_title = label(tr("Click a token to see how its word is merged"), "heading")
        self.word_view = TokenText()
        self.word_view.setMinimumHeight(34)
        self.word_view.setFixedHeight(44)
        self.word_note = label("", "small")
        self.word_slider = QSlider(Qt.Orientation.Horizontal)
        self.word_slider.setAccessibleName(tr("Merge of the word"))
        self.word_slider.setToolTip(tr("Step through the merges of the word, lowest rank first"))
        self.word_back = button(tr("Back"), lambda: self.turn_word(-1), tip=tr("One merge back (Alt+Left)"))
        self.word_step = button(tr("Step"), lambda: self.turn_word(1), tip=tr("One merge on (Alt+Right)"))
        row = QHBoxLayout()
        row.addWidget(self.word_back)
        row.addWidget(self.word_step)
        row.addWidget(self.word_slider, 1)
        word = card(self.word_title, self.word_view, self.word_note, row, margin=10, spacing=2)
        self.picture = QWidget()
        column = QVBoxLayout(self.picture)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.editor, 1)
        column.addWidget(card(self.counts, self.view, margin=10, spacing=2), 3)
        column.addWidget(word)

    def _build_details(self) -> None:
        self.table = Table(
            tr("Tokens"),
            [
                Column(tr("No."), number=True),
                Column(tr("Token"), mono=True, stretch=True),
                Column(tr("Id"), number=True),
            ],
        )
        self.token_title = label("", "heading")
        self.tree = MergeTree(visible)
        self.facts = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(4)
        column.addWidget(label(tr("Tokens"), "heading"))
        column.addWidget(self.table, 1)
        column.addSpacing(6)
        for widget in (self.token_title, self.tree, self.facts):
            column.addWidget(widget)

    def _connect(self) -> None:
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE)
        self._pause.timeout.connect(self.encode)
        self.sample.picked.connect(lambda key: self.lab.attempt(self.pick_text, key))
        self.picker.chosen.connect(lambda _: self.encode())
        self.editor.textChanged.connect(self._typed)
        self.editor.cursorPositionChanged.connect(self._cursor_moved)
        self.signs.toggled.connect(self._show_signs)
        self.special.toggled.connect(lambda _: self.encode())
        self.view.hovered.connect(self._hovered)
        self.view.clicked.connect(self._clicked)
        self.table.row_hovered.connect(self._row_hovered)
        self.table.row_chosen.connect(self._row_chosen)
        self.word_slider.valueChanged.connect(self._show_word_step)
        self._show_word(b"")

    # The text and the tokenizer.

    def _choices(self) -> list[Choice]:
        found = [
            Choice(f"sample:{s.name}", s.title, tr("Samples"), tip=s.notice) for s in load_samples("encode")
        ]
        found.append(Choice("clipboard", tr("From the clipboard"), tr("Yours")))
        found.append(Choice("files", tr("Open a file…"), tr("Yours")))
        return found

    def pick_text(self, key: str) -> None:
        """Take the text that a choice stands for.

        Raises:
            LabError: There is none in it.
        """
        kind, _, name = key.partition(":")
        if kind == "sample":
            sample = load_sample(name)
            self.set_text(sample.text, sample.title, sample.notice)
        elif kind == "clipboard":
            text = QGuiApplication.clipboard().text()
            if not text:
                raise LabError(
                    tr("The clipboard holds no text."), tr("Copy a text somewhere and choose this again.")
                )
            self.set_text(text, tr("From the clipboard"))
        else:
            name, _ = QFileDialog.getOpenFileName(self.lab.window(), tr("Open a text"))
            if name:
                self.open_files([Path(name)])

    def pick(self, key: str) -> None:
        """Choose a tokenizer by its key."""
        self.picker.pick(key)

    def use(self, tokenizer: Tokenizer, title: str, key: str) -> None:
        """Take a tokenizer that is loaded already."""
        self.picker.use(tokenizer, title, key)

    def open_files(self, files: list[Path]) -> None:
        text = read_text(files[0], FILE_AT_MOST)
        self.set_text(text, files[0].name)

    def set_text(self, text: str, title: str = "", notice: str = "") -> None:
        """Encode another text; a long one is shown in part in the editor and cannot be edited there."""
        self._file_text = text if len(text) > EDITED_AT_MOST else None
        self.editor.blockSignals(True)
        self.editor.setReadOnly(self._file_text is not None)
        self.editor.setPlainText(text[:EDITED_AT_MOST])
        self.editor.blockSignals(False)
        self.sample.set_title(title or tr("Your own text"))
        if self._file_text is not None:
            notice = tr(
                "The editor shows the first {n:,} of {all:,} characters.", n=EDITED_AT_MOST, all=len(text)
            )
        self.notice.setText(notice)
        self.encode()

    def text(self) -> str:
        """The text that is encoded."""
        return self._file_text if self._file_text is not None else self.editor.toPlainText()

    def _typed(self) -> None:
        self.sample.set_title(tr("Your own text"))
        self.notice.setText("")
        self._pause.start()

    # Encoding.

    def encode(self) -> None:
        """Encode the text again."""
        self._pause.stop()
        self.lab.attempt(self._encode)

    def _encode(self) -> None:
        tokenizer = self.picker.tokenizer
        if tokenizer is None:
            return
        text = self.text()
        self.lab.ask(
            "encode",
            lambda: encode_text(text, tokenizer, self.special.isChecked()),
            tr("Encoding {n:,} characters", n=len(text)),
            lambda encoded: self._show(encoded, tokenizer, len(text)),
        )

    def _show(self, encoded: Encoded, tokenizer: Tokenizer, characters: int) -> None:
        self.encoded = encoded
        self._spans = {}
        self.view.set_tokens(self.encoded.data, self.encoded.words, self.encoded.ids, self.encoded.starts)
        self.view.set_spans(lambda word: self._spans_of(tokenizer, word))
        n = len(self.encoded.ids)
        ratio = characters / n if n else 0.0
        per_byte = len(self.encoded.data) / n if n else 0.0
        self.counts.setText(
            tr(
                "{n:,} tokens · {characters:,} characters · {ratio:.2f} characters per token"
                " · {per_byte:.2f} bytes per token",
                n=n,
                characters=characters,
                ratio=ratio,
                per_byte=per_byte,
            )
        )
        self.table.rows.set_source(n, lambda i: self._row(tokenizer, i))
        self._show_first_word(tokenizer)

    def _show_first_word(self, tokenizer: Tokenizer) -> None:
        """Show the first word that takes a merge, so that the card below is never empty without a reason."""
        encoded = self.encoded
        lengths = np.diff(encoded.starts) if encoded is not None else np.zeros(0)
        if encoded is None or not len(lengths):
            self._show_token(None)
            self._show_word(b"")
            return
        i = int(np.argmax(lengths > 1))
        self._clicked(Token(int(encoded.starts[i]), int(encoded.starts[i + 1]), int(encoded.ids[i])))

    def _spans_of(self, tokenizer: Tokenizer, word: bytes) -> list[tuple[int, int]]:
        spans = self._spans.get(word)
        if spans is None:
            if (
                self.special.isChecked()
                and (special := tokenizer.special_tokens.get(word.decode("utf-8", "ignore"))) is not None
            ):
                spans = [(special, len(word))]
            else:
                spans = word_spans(tokenizer, word)
            self._spans[word] = spans
        return spans

    def _row(self, tokenizer: Tokenizer, i: int) -> tuple[str, ...]:
        token_id = int(self.encoded.ids[i]) if self.encoded else 0
        token = tokenizer.token_bytes(token_id)
        return f"{i + 1:,}", visible(token), f"{token_id:,}"

    # Links between text, chips and ids.

    def _hovered(self, token: Token | None) -> None:
        if token is None or self.encoded is None:
            self.editor.setExtraSelections([])
            return
        row = self.encoded.token_at(token.start)
        self.table.scrollTo(self.table.rows.index(row, 0))
        self.table.selectionModel().blockSignals(True)
        self.table.selectRow(row)
        self.table.selectionModel().blockSignals(False)
        self.table.viewport().update()
        self._mark_in_editor(token.start, token.end)

    def _mark_in_editor(self, start: int, end: int) -> None:
        data = self.encoded.data if self.encoded else b""
        first = _utf16(data[:start])
        if first > EDITED_AT_MOST:
            return
        selection = QTextEdit.ExtraSelection()
        cursor = QTextCursor(self.editor.document())
        cursor.setPosition(first)
        cursor.setPosition(
            min(_utf16(data[:end]), self.editor.document().characterCount() - 1),
            QTextCursor.MoveMode.KeepAnchor,
        )
        selection.cursor = cursor
        theme = theme_of(self.editor)
        selection.format.setBackground(QColor(theme.accent_back))
        selection.format.setForeground(QColor(theme.accent))
        self.editor.setExtraSelections([selection])

    def _row_hovered(self, row: int) -> None:
        if self.encoded is None or not 0 <= row < len(self.encoded.ids):
            self.view.point_at(None)
            return
        self.view.point_at(int(self.encoded.starts[row]))

    def _row_chosen(self, row: int) -> None:
        if self.encoded is not None and row < len(self.encoded.ids):
            start, end = int(self.encoded.starts[row]), int(self.encoded.starts[row + 1])
            self.view.show_byte(start)
            self._mark_in_editor(start, end)
            self._clicked(Token(start, end, int(self.encoded.ids[row])))

    def _cursor_moved(self) -> None:
        if self.encoded is None or not self.editor.hasFocus() or self._pause.isActive():
            return
        before = self.editor.toPlainText()[: self.editor.textCursor().position()]
        self.view.point_at(len(before.encode("utf-8", "surrogatepass")))

    def _clicked(self, token: Token) -> None:
        self._show_token(token.id)
        if self.encoded is None:
            return
        word = int(np.searchsorted(self.encoded.words, token.start, "right")) - 1
        start = int(self.encoded.words[word])
        end = (
            int(self.encoded.words[word + 1])
            if word + 1 < len(self.encoded.words)
            else len(self.encoded.data)
        )
        self._show_word(self.encoded.data[start:end])

    def _show_token(self, token_id: int | None) -> None:
        tokenizer = self.picker.tokenizer
        shown = token_id is not None and tokenizer is not None
        for widget in (self.token_title, self.tree, self.facts):
            widget.setVisible(shown)
        if token_id is None or tokenizer is None:
            return
        token = tokenizer.token_bytes(token_id)
        self.token_title.setText(tr("Where “{token}” comes from", token=visible(token)))
        self.tree.set_root(merge_tree(tokenizer, token_id))
        hexed = token[:12].hex(" ").upper() + (" …" if len(token) > 12 else "")
        times = int((self.encoded.ids == token_id).sum()) if self.encoded is not None else 0
        self.facts.setText(
            tr(
                "id {id:,} · {n} bytes: {hexed}\n{times:,} times in this text",
                id=token_id,
                n=len(token),
                hexed=hexed,
                times=times,
            )
        )

    # The merges of one word.

    def turn_word(self, by: int) -> None:
        """Show the word some merges on or back."""
        self.word_slider.setValue(self.word_slider.value() + by)

    def _show_word(self, word: bytes) -> None:
        tokenizer = self.picker.tokenizer
        self._word = word
        self._steps = []
        if word and tokenizer is not None and len(word) <= LONGEST_WORD:
            events = list(explain_word(tokenizer, word))
            self._steps = [event for event in events if isinstance(event, WordStep)]
            self.word_title.setText(
                tr("“{word}” takes {n} merges", word=visible(word[:40]), n=len(self._steps))
            )
            self.word_view.set_text(word, np.zeros(1, dtype=np.int64))
        elif word:
            self.word_title.setText(
                tr(
                    "This word has {n:,} bytes; merges are stepped up to {most}",
                    n=len(word),
                    most=LONGEST_WORD,
                )
            )
        else:
            self.word_title.setText(tr("Click a token to see how its word is merged"))
            self.word_view.set_text(b"", np.zeros(0, dtype=np.int64))
        self.word_slider.blockSignals(True)
        self.word_slider.setRange(0, len(self._steps))
        self.word_slider.setValue(len(self._steps))
        self.word_slider.blockSignals(False)
        self._show_word_step(len(self._steps))

    def _show_word_step(self, step: int) -> None:
        tokenizer = self.picker.tokenizer
        n = len(self._steps)
        for made, on in ((self.word_back, step > 0), (self.word_step, step < n), (self.word_slider, n > 0)):
            made.setEnabled(on)
        if tokenizer is None or not self._word or len(self._word) > LONGEST_WORD:
            self.word_note.setText("")
            return
        if step < n:
            pieces = self._steps[step].pieces
        else:
            pieces = self._steps[-1].after if n else tokenizer.encode_bytes(self._word)
        spans = [(piece, len(tokenizer.tokens[piece] or b"")) for piece in pieces]
        self.word_view.set_spans(lambda word: spans)
        if step < n:
            now = self._steps[step]
            self.word_view.mark_pairs([(now.left, now.right)])
            pair = f"{visible(tokenizer.token_bytes(now.left))} + {visible(tokenizer.token_bytes(now.right))}"
            self.word_note.setText(
                tr(
                    "Step {i} of {n}: next {pair}, the pair with the lowest rank here ({rank:,})",
                    i=step,
                    n=n,
                    pair=pair,
                    rank=now.rank,
                )
            )
        else:
            self.word_view.mark_pairs([])
            self.word_note.setText(tr("Step {n} of {n}: no pair in it is a merge any more", n=n))

    # Taking things away.

    def copy_ids(self) -> None:
        """Copy all ids."""
        if self.encoded is not None:
            QGuiApplication.clipboard().setText(", ".join(map(str, self.encoded.ids.tolist())))
            self.lab.frame.messages.show_note(tr("Copied {n:,} ids.", n=len(self.encoded.ids)))

    def split(self) -> None:
        """Save the text in pieces of at most N tokens, one file each.

        Raises:
            LabError: No tokenizer is chosen, or a file cannot be written.
        """
        if self.picker.tokenizer is None:
            raise LabError(tr("No tokenizer is chosen."), tr("Choose one on the left."))
        folder = QFileDialog.getExistingDirectory(self.lab.window(), tr("Choose a folder for the pieces"))
        if not folder:
            return
        pieces = list(chunks(self.text(), self.picker.tokenizer, self.chunk_size.value()))
        for i, piece in enumerate(pieces):
            write_new(Path(folder) / f"piece-{i + 1:04d}.txt", piece)
        self.lab.frame.messages.show_note(tr("Wrote {n:,} pieces to {folder}.", n=len(pieces), folder=folder))

    # For the lab.

    def _show_signs(self, on: bool) -> None:
        for view in (self.view, self.word_view):
            view.show_signs = on
            view.viewport().update()

    def show_first(self) -> None:
        """What the page shows when there is nothing to restore."""
        sample = load_sample("strawberry")
        self.set_text(sample.text, sample.title, sample.notice)

    def shown(self) -> None:
        if self.picker.tokenizer is None:
            self.picker.pick(self.first_choice())
        self.editor.setFocus()

    def first_choice(self) -> str:
        """The key of the first tokenizer that is there."""
        keys = [
            c.key for c in self.picker.choices() if c.enabled and c.key.startswith(("known:", "artifact:"))
        ]
        return "known:smollm2" if "known:smollm2" in keys else keys[0] if keys else "learned"

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Tokens"): self.view, tr("Merges of a word"): self.word_view}

    def save_state(self) -> dict[str, Any]:
        return {
            "text": self.editor.toPlainText(),
            "title": self.sample.title,
            "notice": self.notice.text() if self._file_text is None else "",
            "tokenizer": self.picker.key,
            "signs": self.signs.isChecked(),
            "special": self.special.isChecked(),
            "chunk": self.chunk_size.value(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        for box, name in ((self.signs, "signs"), (self.special, "special")):
            if isinstance(state.get(name), bool):
                box.setChecked(state[name])
        if isinstance(state.get("chunk"), int):
            self.chunk_size.setValue(state["chunk"])
        if isinstance(state.get("text"), str):
            title, notice = state.get("title"), state.get("notice")
            self.set_text(
                state["text"],
                title if isinstance(title, str) else "",
                notice if isinstance(notice, str) else "",
            )
        else:
            self.show_first()
        key = state.get("tokenizer")
        if isinstance(key, str) and key.startswith(("known:", "artifact:", "file:")):
            self.picker.pick(key)


def _utf16(data: bytes) -> int:
    """Length of UTF-8 bytes in the UTF-16 units that Qt counts in; a character cut short counts as none."""
    return len(data.decode("utf-8", "ignore").encode("utf-16-le")) // 2
