"""Guess the word: each guess is told its cosine with a secret word, and its place among all words.

What to notice: what a model holds for similar is not what one expects; words of one place in a sentence
are. Stage: `core.embeddings.guess`.
"""

from __future__ import annotations

import random
from datetime import date
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from core.problems import LabError
from labapp.labs.embeddings.completing import WordLine
from labapp.labs.embeddings.guess_view import GuessLine
from labapp.labs.embeddings.subject import Opened, SubjectPage
from labapp.labs.embeddings.tables import shown, signed
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.guess import Game
    from labapp.labs.embeddings import EmbeddingsLab

NEAREST = 1_000  # words that are shown afterwards
HINT = 2  # a hint is this many times nearer than the best guess


class GuessPage(SubjectPage):
    """What can be done on the left, the guesses in the middle, the nearest words on the right afterwards."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.opened: Opened | None = None
        self.game: Game | None = None
        self.guesses: list[tuple[int, float, int]] = []  # row, cosine, place; in their order
        self.over = False
        self.today = date.today
        self._kept: dict[str, Any] = {}
        self._scene: dict[str, Any] | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.new = button(tr("New word"), self.start, tip=tr("A secret word by chance"), role="primary")
        self.daily = button(
            tr("Word of the day"),
            self.start_daily,
            tip=tr("The same for everybody with these vectors, from the date alone"),
        )
        self.hint = button(
            tr("Hint"), self.give_hint, tip=tr("A word half as far away as your best guess, by its place")
        )
        self.give_up_button = button(tr("Give up"), self.give_up, tip=tr("Show the secret word"))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.hint)
        row.addWidget(self.give_up_button)
        self.about = label("", "small", wrap=True)
        self.rules = label(
            tr("Type a word and press Enter. The cosine says how similar the vectors are, the place how "
               "many words are "
               "nearer. Place 1 is the word nearest to the secret one. As in Semantle, length does not "
               "count."),
            "small", wrap=True,
        )  # fmt: skip
        self.controls = controls(self.top, self.new, self.daily, row, self.about, self.rules)

    def _build_picture(self) -> None:
        self.line = WordLine(self.subject, tr("Your guess"))
        self.line.row_chosen.connect(self.guess)
        self.says = label("", "heading", wrap=True)
        self.view = GuessLine()
        self.table = Table(
            tr("Your guesses"),
            [
                Column(tr("#"), number=True),
                Column(tr("Word"), stretch=True),
                Column(tr("Cosine"), number=True),
                Column(tr("Place"), number=True),
            ],
        )
        self.table.setMinimumHeight(70)
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.playing = QWidget()
        column = QVBoxLayout(self.playing)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(field(tr("Your guess"), self.line, tr("A word; Enter guesses it")))
        column.addWidget(self.says)
        column.addWidget(card(self.view, margin=8, grows=self.view), 2)
        column.addWidget(card(self.table, margin=8, grows=self.table), 3)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(self.playing, 1)
        layout.addStretch()

    def _build_details(self) -> None:
        self.heading = label(tr("The nearest words are shown when it is over."), "heading", wrap=True)
        self.nearest = Table(
            tr("Words nearest to the secret one"),
            [
                Column(tr("Place"), number=True),
                Column(tr("Word"), stretch=True),
                Column(tr("Cosine"), number=True),
            ],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        column.addWidget(self.heading)
        column.addWidget(self.nearest, 1)
        column.addStretch()

    # The game.

    def take(self, opened: Opened) -> None:
        self.opened = opened
        kept, self._kept = self._kept, {}
        secret, rows = kept.get("secret"), kept.get("guesses")
        if isinstance(secret, str) and isinstance(rows, list) and secret in opened.vectors.names:
            self._begin(opened, opened.vectors.names.index(secret))
            for name in rows[:2000]:
                if isinstance(name, str) and name in opened.vectors.names and self.game is not None:
                    self._add(opened.vectors.names.index(name))
            if kept.get("over") is True:
                self.give_up()
            self._show()
        else:
            self._by_chance(None)

    def secrets(self) -> list[int]:
        """Rows of the words that may be secret: everyday ones that are a word of these vectors."""
        opened = self.opened
        if opened is None:
            return []
        names = {opened.vectors.names[row].strip(): row for row in reversed(opened.vectors.words.tolist())}
        wanted = dict.fromkeys(read_json("scenes", "embeddings", "secrets.json")["words"])
        found = [names[word] for word in wanted if word in names]
        return found if len(found) > 20 else opened.vectors.words.tolist()

    def start(self, seed: int | None = None) -> None:
        """Begin with a secret word by chance; whoever wants to play need not answer first."""
        self._stop_asking()
        self._by_chance(seed)

    def _by_chance(self, seed: int | None) -> None:
        opened, rows = self.opened, self.secrets()
        if opened is not None and rows:
            self._begin(opened, random.Random(seed).choice(rows))

    def start_daily(self) -> None:
        """Begin with the word of the day."""
        self._stop_asking()
        if self.opened is not None and self.secrets():
            self.lab.attempt(self._start_daily, self.opened)

    def _start_daily(self, opened: Opened) -> None:
        from core.embeddings.guess import daily_word

        names = {opened.vectors.names[row]: row for row in self.secrets()}
        self._begin(opened, names[daily_word(self.today(), list(names))])
        self.about.setText(tr("The word of {day}.", day=self.today().isoformat()))

    def _begin(self, opened: Opened, secret: int) -> None:
        from core.embeddings.guess import Game

        self.game = Game(opened.centered, secret, opened.vectors.words)
        self.guesses, self.over = [], False
        self.about.setText("")
        self.line.setText("")
        self.line.row = None
        self._show()

    def guess(self, row: int) -> None:
        """Guess a word."""
        if self.game is None or self.over:
            return
        self.lab.attempt(self._add, row)
        self.line.setText("")
        self.line.row = None
        if row == self.game.secret:
            self.over = True
        self._show()
        self.line.setFocus()

    def _add(self, row: int) -> None:
        if self.game is not None and all(row != known for known, _, _ in self.guesses):
            scored = self.game.score(row)
            self.guesses.append((row, scored.similarity, scored.rank))

    def give_hint(self) -> None:
        """Guess a word nearer than the best one, for the person."""
        game = self.game
        if game is None or self.over:
            return
        best = min((place for _, _, place in self.guesses if place > 0), default=NEAREST)
        at = max(1, min(best, NEAREST) // HINT)
        if best <= 1:
            nearer = LabError(tr("You have the nearest word already."), tr("One word is left: guess it."))
            self.lab.frame.messages.show_problem(nearer)
            return
        self.guess(game.hint(at).row)

    def give_up(self) -> None:
        """Show the secret word."""
        self.over = True
        self._show()

    # What is shown.

    def _show(self) -> None:
        game, opened = self.game, self.opened
        if game is None or opened is None:
            return
        names = opened.vectors.names
        order = sorted(range(len(self.guesses)), key=lambda n: -self.guesses[n][1])
        latest = shown(names[self.guesses[-1][0]]) if self.guesses else ""
        rows = []
        for n in order:
            row, value, place = self.guesses[n]
            rows.append((f"{n + 1}", shown(names[row]), signed(value), _place(place)))
        self.table.set_rows(rows, order.index(len(self.guesses) - 1) if self.guesses else None)
        secret = shown(names[game.secret]) if self.over else ""
        self.view.set_guesses(
            [(shown(names[row]), value) for row, value, _ in self.guesses], latest, secret, game.best
        )
        self.says.setText(self.summary())
        for part in (self.hint, self.give_up_button):
            part.setEnabled(not self.over and not self.prediction.asking)
        self.line.setEnabled(not self.over)
        if self.prediction.asking:
            self.heading.setText(tr("Answer first, or close the question."))
        elif self.over:
            found = game.nearest(NEAREST)
            self.heading.setText(tr("Nearest to “{word}”, {n:,} words", word=secret, n=len(found)))
            self.nearest.set_rows(
                [(f"{n + 1:,}", shown(one.name), signed(one.value)) for n, one in enumerate(found)]
            )
        else:
            self.heading.setText(tr("The nearest words are shown when it is over."))
            self.nearest.set_rows([])

    def summary(self) -> str:
        game, opened = self.game, self.opened
        if game is None or opened is None or self.prediction.asking:
            return ""
        names, n = opened.vectors.names, len(self.guesses)
        if self.over and self.guesses and self.guesses[-1][0] == game.secret:
            return tr("Found: “{word}”, with {n} guesses.", word=shown(names[game.secret]), n=n)
        if self.over:
            return tr("It was “{word}”; {n} guesses.", word=shown(names[game.secret]), n=n)
        if not self.guesses:
            return tr("One of {n:,} everyday words; places are among {all}.", n=len(self.secrets()),
                      all=opened.vectors.words_said)  # fmt: skip
        row, value, place = self.guesses[-1]
        return tr(
            "“{word}”: cosine {value}, {place}.",
            word=shown(names[row]),
            value=signed(value),
            place=_said(place),
        )

    def numbers(self) -> Numbers:
        columns = [column.title for column in self.table.rows.columns]
        rows = [self.table.rows.row(i) for i in range(self.table.rows.rowCount())]
        return (columns[1], columns[0], *columns[2:]), [(row[1], row[0], *row[2:]) for row in rows]

    # The scene.

    def show_first(self) -> None:
        scene = read_json("scenes", "embeddings", "words.json")["guess"]
        self._scene = scene
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._reveal(False)

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal(True)

    def _stop_asking(self) -> None:
        if self.prediction.asking:
            self.prediction.close_question()

    def _reveal(self, shown_: bool) -> None:
        """Show the game, or keep it back until the question is answered."""
        for part in (self.playing, self.nearest):
            part.setVisible(shown_)
        self._show()
        if shown_ and self.in_view:
            self.line.setFocus()

    def take_focus(self) -> None:
        self.line.setFocus()

    def shown(self) -> None:
        super().shown()
        self.line.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Guesses"): self.view}

    def save_state(self) -> dict[str, Any]:
        if self.game is None or self.opened is None:
            return dict(self._kept)
        names = self.opened.vectors.names
        return {
            "secret": names[self.game.secret], "guesses": [names[row] for row, _, _ in self.guesses],
            "over": self.over,
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        self._kept = dict(state)


def _place(place: int) -> str:
    return tr("the word") if place == 0 else f"{place:,}"


def _said(place: int) -> str:
    return tr("it is the word") if place == 0 else tr("place {n:,}", n=place)
