"""Rank the answers of a model without knowing who wrote them, by keyboard, and lose none.

What to notice: the order is shuffled for every person, "saved" appears after the disk has it, and undo goes
back over days. What happens is decided here and in `desk.py`; `workplace.py` shows it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtGui import QGuiApplication, QWindow
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from core.stages import once
from labapp.idle import soon
from labapp.labs.preferences.board_keys import BoardKeys
from labapp.labs.preferences.cards import LETTERS
from labapp.labs.preferences.consent import Consent
from labapp.labs.preferences.desk import Desk
from labapp.labs.preferences.finish import Finish
from labapp.labs.preferences.notice import Notice
from labapp.labs.preferences.rank_controls import RankControls
from labapp.labs.preferences.rank_details import RankDetails
from labapp.labs.preferences.skip_menu import fill_skip
from labapp.labs.preferences.standing import Standing
from labapp.labs.preferences.tasks import SHIPPED, Opened, open_task
from labapp.labs.preferences.workplace import Workplace
from labapp.pages import LabPage
from labapp.scenes import read_json
from labapp.widgets.prediction import Prediction
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.preferences import PreferencesLab

LOOK_AGAIN = 20_000  # ms between two looks at whether a pause is due, or an item is free again
UNDONE = {
    "step": "Took back one step.",
    "submit": "This ranking is open again.",
    "revise": "The change is open again.",
    "skip": "It is no longer skipped.",
    "flag": "The prompt is no longer flagged.",
    "": "There is nothing to take back.",
}
REDONE = {"": "There is nothing to do again.", "step": "Did one step again."}


class RankPage(LabPage):
    """Who ranks and how far on the left, the answers in the middle, the guidelines on the right."""

    def __init__(self, lab: PreferencesLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.desk = Desk()
        self._wanted = f"{SHIPPED}everyday"
        self._people: dict[str, str] = {}  # id of a task to the person who ranked there last
        self._restored = False
        self._scene = read_json("scenes", "preferences", "everyday.json")
        self._build_picture()
        self.controls = self.panel = RankControls(self)
        self.details = self.side = RankDetails(self)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look_again)
        self._timer.start(LOOK_AGAIN)
        QGuiApplication.instance().focusWindowChanged.connect(self._focus_moved)  # type: ignore[union-attr]
        desk = self.desk
        self.picture.destroyed.connect(lambda: desk.close())

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self.take_focus)
        self.notice = Notice(self.take_focus)
        self.consent = Consent()
        self.consent.begun.connect(lambda id, name: self.lab.attempt(self._begin, id, name))
        self.work = work = Workplace(BoardKeys(self).read, self._dropped, lambda menu: fill_skip(menu, self))
        work.board.clicked.connect(self._clicked)
        work.submitted.connect(self.submit)
        work.flagged.connect(lambda flag: self.take(lambda s: s.toggle_flag(flag)))
        work.rated.connect(self.rate)
        work.commented.connect(self._comment)
        work.touched.connect(self.desk.active.touch)
        work.keep.clicked.connect(lambda: self.take(Standing.keep_order))
        work.all_bad.clicked.connect(lambda: self.take(Standing.toggle_all_bad))
        work.undo.clicked.connect(self.undo)
        work.redo.clicked.connect(self.redo)
        for verdict, made in work.verdicts.items():
            made.clicked.connect(partial(self.judge, verdict))
        self.finish = Finish(self)
        self.stack = QStackedWidget()
        for page in (QWidget(), self.consent, work, self.finish):
            self.stack.addWidget(page)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(self.notice)
        layout.addWidget(self.stack, 1)
        self.picture.installEventFilter(self)

    # The task and the person.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown_text(self) -> str:
        """What the prompt and the cards show, for tests and for reading aloud."""
        cards = [card.prose.toPlainText() for card in self.work.board.cards.values()]
        return "\n".join([self.work.prompt.toPlainText(), *cards])

    def _answered(self, index: int) -> None:
        said = tr("Yes.") if index == self._scene["right"] else tr("Not quite.")
        self.prediction.reveal(f"{said} {tr(self._scene['reveal'])}")
        self.take_focus()

    def shown(self) -> None:
        if self.desk.opened is None and self._wanted:
            self.open(self._wanted)

    def open(self, key: str) -> None:
        """Open a task on a worker, and go on where its last person was."""
        workspace = self.context.workspace
        self._wanted = key
        self.lab.ask(
            "open", lambda: once(lambda: open_task(workspace, key)), tr("Opening the task"), self._opened
        )

    def _opened(self, opened: Opened) -> None:
        if not self._wanted:  # it stands alone since: another task is on its way
            opened.close()
            return
        self.desk.open(opened)
        self._wanted = opened.key
        task = opened.store.task
        self.work.set_flags(task.flags, task.settings.ratings)
        self.side.show_task(task)
        if task.settings.own_pace:
            self.panel.pace.setChecked(True)
        people = self.desk.people()
        self.consent.show_task(task, people)
        last = self._people.get(opened.key, "")
        if any(person.id == last for person in people):
            self.lab.attempt(self.desk.sit, last)
        if self.desk.session is not None and self.desk.session.agreed:
            self.lab.attempt(self.desk.next)
        self.lab.task_opened(opened)
        self.refresh()

    def _begin(self, id: str, name: str) -> None:
        if id:
            self.desk.sit(id)
        else:
            self.desk.enter(name)
        self.desk.agree(self.consent.text)
        if self.desk.opened is not None and self.desk.session is not None:
            self._people[self.desk.opened.key] = self.desk.session.annotator
        self.desk.next()
        self.refresh()

    def change_person(self) -> None:
        """Show the page before the first item again, for somebody else."""
        if self.desk.opened is not None:
            self.desk.session = None
            self._people.pop(self.desk.opened.key, None)
            self.consent.name.clear()
            self.consent.show_task(self.desk.opened.store.task, self.desk.people())
            self.refresh()

    def ask_to_withdraw(self) -> None:
        """Ask once more before a person's answers no longer count."""
        if self.desk.session is not None:
            text = tr("Withdraw? Your answers then count no longer, and are erased by who made the task.")
            self.notice.say(text, tr("Withdraw"), self._withdraw, tr("Your answers will not be used"))

    def _withdraw(self) -> None:
        if self.desk.session is not None and self.lab.attempt(self.desk.session.withdraw) is not None:
            self.change_person()
            self.notice.say(tr("You have withdrawn. Your answers are left out of all results."))

    # What is shown.

    def refresh(self) -> None:
        """Show the desk as it is."""
        desk = self.desk
        if desk.opened is None:
            self.stack.setCurrentIndex(0)
        elif desk.session is None or not desk.session.agreed:
            self.stack.setCurrentIndex(1)
        elif desk.shown is None:
            self.finish.show_end(desk.end)
            self.stack.setCurrentIndex(3)
        else:
            self._show_item()
            self.stack.setCurrentIndex(2)
        self.panel.refresh()
        self.side.refresh()
        if self.lab.in_view(self):
            self.take_focus()

    def _show_item(self) -> None:
        shown = self.desk.shown
        if shown is None or self.desk.opened is None:
            return
        parts = [tr("Prompt {n:,} of {all:,}", n=shown.number, all=self.desk.opened.store.count())]
        if shown.kind == "practice":
            parts.append(tr("practice: the known order is shown afterwards"))
        if shown.category:
            parts.append(shown.category)
        if shown.answer is not None:
            parts.append(tr("answered before: submitting changes the answer"))
        self.work.place.setText(" · ".join(parts))
        self.work.show_item(shown.prompt, [(output.id, output.text) for output in shown.outputs])
        self._show_standing()

    def _show_standing(self) -> None:
        desk, work = self.desk, self.work
        if desk.standing is None or desk.shown is None:
            return
        pair = (desk.standing.pair or ()) if desk.by_pairs else ()
        if pair and desk.standing.chosen not in pair:  # flags and comments are about what is in view
            desk.choose(desk.standing.choose(pair[0]))
        work.show_standing(desk.standing, self._letter(desk.standing.chosen), pair, desk.by_pairs)
        self.panel.mark_now()
        work.undo.setEnabled(desk.can_undo)
        work.redo.setEnabled(desk.can_redo)
        self._show_saved()

    def _show_saved(self, what: str = "") -> None:
        if self.desk.saved is None:
            self.work.show_saved(tr("Not saved") if self.desk.unsaved else "", False, sound=False)
            return
        clock = time.strftime("%H:%M:%S", time.localtime(self.desk.saved))
        if self.desk.in_outbox:
            what += " · " + tr("sent when the server answers")
        flash = bool(what) and not self.context.reduced_motion
        self.work.show_saved(f"✓ {tr('Saved {time}', time=clock)}{what}", flash)

    def _letter(self, id: str) -> str:
        order = self.desk.standing.shown if self.desk.standing else ()
        return LETTERS[order.index(id)] if id in order else ""

    def in_letters(self, standing: Standing) -> str:
        """A ranking in letters: "B > A = C"."""

        def letter(id: str) -> str:
            return LETTERS[standing.shown.index(id)]

        return " > ".join(" = ".join(letter(id) for id in tier) for tier in standing.tiers)

    # Actions.

    def take(self, change: Any) -> None:
        """Take a change of the item in view; it is saved as a draft at once."""
        if self.desk.standing is None:
            return
        self.desk.active.touch()
        self.lab.attempt(self.desk.change, change(self.desk.standing))
        if self.notice.text:
            self.notice.hide()
        self._show_standing()
        if not self.work.comment.hasFocus():
            self.work.board.setFocus()

    def choose(self, standing: Standing) -> None:
        """Choose another card."""
        self.desk.active.touch()
        self.desk.choose(standing)
        self._show_standing()
        self.say(tr("At {letter}.", letter=self._letter(standing.chosen)))

    def _clicked(self, id: str) -> None:
        if self.desk.standing is not None:
            self.choose(self.desk.standing.choose(id))
        self.work.board.setFocus()

    def _dropped(self, id: str, to: int) -> None:
        if not self.desk.by_pairs:
            self.take(lambda standing: standing.drop(id, to))

    def rate(self, rating: int) -> None:
        """Rate the chosen answer; the same rating again takes it away."""
        standing = self.desk.standing
        if standing is not None:
            again = standing.ratings.get(standing.chosen) == rating
            self.take(lambda s: s.rate(0 if again else rating))

    def _comment(self, text: str) -> None:
        self.take(lambda standing: standing.say(text))

    def judge(self, verdict: str) -> None:
        """Say which of the two in view is better."""
        self.take(lambda standing: standing.judge(verdict))
        if self.desk.standing is not None and self.desk.standing.pair is None:
            self.say(tr("The order is known: Enter saves it."))

    def press_digit(self, digit: int) -> None:
        """Give the chosen answer a rank, and go on to the next one without."""
        standing = self.desk.standing
        if standing is None:
            return
        if not 1 <= digit <= len(standing.order):
            self.say(tr("Ranks go from 1 to {n}.", n=len(standing.order)))
            return
        before = self._letter(standing.chosen)
        self.take(lambda s: s.give(digit))
        after = self._letter(self.desk.standing.chosen if self.desk.standing else "")
        self.say(tr("{letter}: rank {n}. Now at {next}.", letter=before, n=digit, next=after))

    def submit(self) -> None:
        """Save the answer and go on; an order that was only left as shown is asked about first."""
        standing = self.desk.standing
        if standing is None or self.stack.currentIndex() != 2:
            return
        if self.desk.by_pairs and standing.pair is not None and not standing.all_bad:
            self.say(tr("Say which of these two is better first."))
            return
        if not self.desk.by_pairs and standing.looks_as_shown and not standing.as_shown:
            text = tr("This is the order in which the answers were shown. Is it the right one?")
            self.notice.say(text, tr("Yes, this order (Y)"), self.keep_and_submit)
            return
        said = self.lab.attempt(self.desk.submit)
        if said is not None:
            self._went_on(said)
        elif self.desk.in_outbox:
            self.say(tr("Kept on this computer; Enter asks the server again."))

    def _went_on(self, said: Standing) -> None:
        self.notice.hide()
        self.refresh()
        self._show_saved(f" · {self.in_letters(said)}" if said.tiers else " · " + tr("all bad"))
        if self.desk.practice is not None:
            result = self.desk.practice
            key = Standing(said.shown, said.shown, said.shown[0],
                           {id: n for n, tier in enumerate(result.key, 1) for id in tier})  # fmt: skip
            text = tr(
                "Practice: {right} of {pairs} comparisons as known. The known order: {key}; yours: {said}.",
                right=result.right, pairs=result.pairs, key=self.in_letters(key), said=self.in_letters(said),
            )  # fmt: skip
            self.notice.say(text)

    def keep_and_submit(self) -> None:
        """Say that the order shown is right, and save it."""
        if self.desk.standing is not None:
            if not self.desk.standing.as_shown:
                self.take(Standing.confirm)
            self.submit()

    def skip(self, reason: str) -> None:
        """Pass the item over, with a reason."""
        self.lab.attempt(self.desk.skip, reason)
        self.refresh()
        self._show_saved(" · " + tr("skipped"))

    def flag_prompt(self, flag: str) -> None:
        """Flag the prompt; the item stays in view."""
        self.lab.attempt(self.desk.flag_prompt, flag)
        self._show_standing()
        self._show_saved(" · " + tr("prompt flagged: {flag}", flag=flag))

    def leave_out(self, category: str) -> None:
        """Give this person no more prompts of a category."""
        self.lab.attempt(self.desk.leave_out, category)
        self.refresh()

    def take_back_in(self, category: str) -> None:
        """Give this person prompts of a category again."""
        if self.desk.session is not None:
            self.lab.attempt(self.desk.session.opt_in, category)
            self.refresh()

    def undo(self) -> None:
        """Take back the last step, or what was saved last."""
        what = self.lab.attempt(self.desk.undo)
        self._turned(what, UNDONE)

    def redo(self) -> None:
        """Do again what was taken back."""
        what = self.lab.attempt(self.desk.redo)
        self._turned(what, REDONE)

    def _turned(self, what: str | None, words: dict[str, str]) -> None:
        if what is None:
            return
        self.notice.hide()
        if what in ("step", ""):
            self._show_standing()
            self.work.board.setFocus()
        else:
            self.refresh()
        self.say(tr(words.get(what, "Done again.")))

    def look_at(self, item_id: str, attempt: int) -> None:
        """Show an item that was done before."""
        self.lab.attempt(self.desk.look_at, item_id, attempt)
        self.refresh()

    def stand_alone(self) -> None:
        """Offer no other tasks and no results; the task comes from the file that was given."""
        self._wanted = ""
        self.desk.close()
        self.prediction.close_question()
        self.refresh()
        self.panel.task.setEnabled(False)
        self.finish.results.hide()

    def go_on(self) -> None:
        """Leave an item that was looked at again, and go on with what is next."""
        self.lab.attempt(self.desk.next)
        self.refresh()

    def set_by_pairs(self, on: bool) -> None:
        """Show two at a time, or all."""
        self.desk.by_pairs = on
        if on and self.desk.standing is not None and self.desk.standing.ranks:
            self.take(Standing.compare_anew)
        self.panel.refresh()
        self._show_standing()

    def say(self, text: str) -> None:
        """Say what a key did, beside the buttons and to screen readers."""
        self.work.said.setText(text)
        self.work.said.setAccessibleName(text)

    # Time.

    def _look_again(self) -> None:
        from core.preferences.active import PAUSE_AFTER

        if self.stack.currentIndex() == 2 and self.desk.active.pause_due() and not self.notice.text:
            text = tr(
                "You have ranked for {n} minutes. A short pause helps to stay fair.",
                n=round(PAUSE_AFTER / 60),
            )
            self.notice.say(text, tr("Understood"), self.desk.active.paused)
        if self.stack.currentIndex() == 3 and hasattr(self.desk.end, "until"):
            self.lab.attempt(self.desk.next)
            self.refresh()

    def _focus_moved(self, window: QWindow | None) -> None:
        mine = self.picture.window().windowHandle()
        self.desk.active.focus(window is not None and window is mine and self.picture.isVisible())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show:
            self.desk.active.focus(True)
        elif event.type() == QEvent.Type.Hide:
            self.desk.active.focus(False)
        elif event.type() == QEvent.Type.FontChange:  # presenter mode, or another size of text
            soon(self.picture, self._font_changed)
        return False

    def _font_changed(self) -> None:
        opened = self.desk.opened
        if opened is not None:
            self.side.show_task(opened.store.task)
            self.consent.prose.show_markdown(self.consent.text)
        self._show_item()

    # Qt and state.

    def take_focus(self) -> None:
        """The board, the button to begin, or what there is to do at the end."""
        match self.stack.currentIndex():
            case 1:
                self.consent.go.setFocus()
            case 2:
                self.work.board.setFocus()
            case _:
                self.stack.setFocus()

    def open_files(self, files: list[Any]) -> None:
        """Open a task's file."""
        self.lab.open_task_file(files[0])

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Answers"): self.stack}

    def save_state(self) -> dict[str, Any]:
        return {"task": self._wanted, "people": dict(self._people)} | self.panel.save_state()

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("task"), str):
            self._wanted = state["task"]
        people = state.get("people")
        if isinstance(people, dict):
            self._people = {k: v for k, v in people.items() if isinstance(v, str)}
        self.panel.restore_state(state)
        if not self._people:
            self.show_first()
