"""Work that another window holds: it can be looked at, and is not gone on with here."""

from __future__ import annotations

from core.artifacts import Work
from core.problems import LabError
from labapp.words import tr


def check_writable(work: Work) -> None:
    """Refuse to go on with work that another window has open.

    Raises:
        LabError: It is held; by whom is said.
    """
    if work.read_only:
        who = work.holder or tr("another window")
        raise LabError(
            tr("“{name}” is open: {who} holds it.", name=work.name, who=who),
            tr("Close it there and try again."),
        )
