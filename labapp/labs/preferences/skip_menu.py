"""What can be done with a prompt besides ranking its answers: skip it, flag it, leave out its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu

from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.preferences.rank import RankPage

REASONS = (
    "I cannot judge this",
    "The prompt makes no sense",
    "All answers say the same",
    "I do not want to read this",
)
LONGEST = 500  # characters of a comment that is given as a reason


def fill_skip(menu: QMenu, page: RankPage) -> None:
    """Fill the menu for the item in view; each needs a second choice, so that no single key skips."""
    menu.addSection(tr("Skip this prompt, because"))
    for reason in REASONS:
        menu.addAction(tr(reason)).triggered.connect(lambda _=False, why=reason: page.skip(tr(why)))
    comment = page.desk.standing.comment.strip() if page.desk.standing else ""
    if comment:
        menu.addAction(tr("As in my comment")).triggered.connect(lambda _=False: page.skip(comment[:LONGEST]))
    shown, opened, session = page.desk.shown, page.desk.opened, page.desk.session
    if opened is not None and opened.store.task.flags:
        menu.addSection(tr("Flag the prompt as"))
        for flag in opened.store.task.flags:
            action = menu.addAction(flag.replace("&", "&&"))
            action.triggered.connect(lambda _=False, flag=flag: page.flag_prompt(flag))
    if shown is not None and shown.category:
        menu.addSection(tr("From now on"))
        text = tr("Leave out prompts about {category}", category=shown.category)
        menu.addAction(text.replace("&", "&&")).triggered.connect(
            lambda _=False, what=shown.category: page.leave_out(what)
        )
    for category in sorted(session.opted_out()) if session is not None else ():
        text = tr("Give me prompts about {category} again", category=category)
        menu.addAction(text.replace("&", "&&")).triggered.connect(
            lambda _=False, what=category: page.take_back_in(what)
        )
