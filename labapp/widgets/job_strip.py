"""The status bar's strip of jobs: what runs, how far, how fast, how long still; pause and stop.

Nothing is computed here: progress, rate and time left come from the job (`labapp/rates.py`).
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QWidget

from labapp.icons import icon
from labapp.rates import amount_in_words, rate_in_words, time_left_in_words
from labapp.runner import Job, Runner, State
from labapp.widgets.parts import flat_button, label
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

REFRESH_MS = 250  # between two refreshes: a person cannot read faster
QUIET_MS = 400  # a job that ends before this is never shown: a strip that flickers says nothing
MOST = 3  # jobs side by side; more are said as a number
BAR_WIDTH = 110  # pixels
PARTS = 1000  # of a progress bar: byte counts are too large for its 32-bit range


class JobStrip(QWidget):
    """One row of jobs, oldest first.

    Args:
        runner: Whose jobs are shown.
    """

    def __init__(self, runner: Runner, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(tr("Running jobs"))
        self._runner = runner
        self._rows: dict[Job, JobRow] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(4, 0, 4, 0)
        self._row.setSpacing(16)
        self._more = label("", "secondary")
        self._more.hide()
        self._row.addWidget(self._more)
        self._row.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.refresh)
        runner.jobs_changed.connect(self._soon)

    @property
    def rows(self) -> list[JobRow]:
        """The rows on screen, oldest job first."""
        return list(self._rows.values())

    def refresh(self) -> None:
        """Show the jobs as they are now; one that a person steps by hand is shown while it works."""
        jobs = [job for job in self._runner.jobs if not job.resting]
        for job in [job for job in self._rows if job not in jobs[:MOST]]:
            row = self._rows.pop(job)
            self._row.removeWidget(row)
            row.hide()
            row.deleteLater()
        for place, job in enumerate(jobs[:MOST]):
            if job not in self._rows:
                self._rows[job] = JobRow(job)
                self._row.insertWidget(place, self._rows[job])
            self._rows[job].refresh()
        more = len(jobs) - MOST
        self._more.setText(tr("and {n} more", n=more) if more > 0 else "")
        self._more.setVisible(more > 0)
        if jobs:
            self._timer.start(REFRESH_MS)  # the time left goes down without news, too

    def _soon(self) -> None:
        """Many changes, one refresh."""
        if not self._runner.jobs:
            self._timer.stop()
            self.refresh()
        elif not self._timer.isActive():
            self._timer.start(REFRESH_MS if self._rows else QUIET_MS)


class JobRow(QWidget):
    """One job: title, bar, figures, pause and stop."""

    def __init__(self, job: Job, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.job = job
        self._title = label(job.title)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(BAR_WIDTH)
        self._bar.setMaximumHeight(8)
        self._figures = label("", "secondary")
        self._figures.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.pause = flat_button("pause", "", self._toggle)
        self.stop = flat_button("stop", tr("Stop {title}", title=job.title), job.stop)
        self.stop.setToolTip(plain_tooltip(self.stop.accessibleName()))
        self._icon = "pause"
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._title)
        row.addWidget(self._bar, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._figures)
        row.addWidget(self.pause)
        row.addWidget(self.stop)
        self.refresh()

    @property
    def text(self) -> str:
        """What the row says: "Learning merges: 312 of 4,744 merges, 9,000 merges/s, 4 s left"."""
        return f"{self.job.title}: {self._figures.text()}".removesuffix(": ")

    def refresh(self) -> None:
        """Show the job as it is now."""
        job, progress = self.job, self.job.progress
        known = progress is not None and bool(progress.total)
        still = job.state in (State.WAITING, State.PAUSED)
        self._bar.setRange(0, PARTS if known or still else 0)  # an empty range moves: busy, length unknown
        if known and progress is not None and progress.total:
            self._bar.setValue(round(PARTS * min(1.0, progress.done / progress.total)))
        self._figures.setText(figures_in_words(job))
        self._figures.setToolTip(plain_tooltip("" if progress is None else progress.doing))
        held = job.state is State.PAUSED
        pause = tr("Go on with {title}", title=job.title) if held else tr("Pause {title}", title=job.title)
        wanted = "play" if held else "pause"
        if self.pause.accessibleName() != pause:
            self.pause.setAccessibleName(pause)
            self.pause.setToolTip(plain_tooltip(pause))
        if self._icon != wanted:
            self._icon = wanted
            self.pause.setIcon(icon(wanted))
        self.pause.setEnabled(job.state is not State.STOPPING)
        self.stop.setEnabled(job.state is not State.STOPPING)
        self.setAccessibleName(self.text)
        self._bar.setAccessibleName(tr("Progress of {title}", title=job.title))

    def _toggle(self) -> None:
        (self.job.resume if self.job.state is State.PAUSED else self.job.pause)()
        self.refresh()


def figures_in_words(job: Job) -> str:
    """State, amount, rate and time left of a job, as far as they are known."""
    said = {
        State.WAITING: tr("waits for another job to end"),
        State.PAUSED: tr("paused"),
        State.STOPPING: tr("stopping"),
    }.get(job.state, "")
    parts = [said]
    progress = job.progress
    if progress is not None and job.state is not State.WAITING:
        done = amount_in_words(progress.done, progress.unit)
        if progress.total is not None:
            done = tr("{done} of {total}", done=_bare(progress.done, progress.unit),
                      total=amount_in_words(progress.total, progress.unit))  # fmt: skip
        parts.append(done)
        if job.state is State.RUNNING:
            parts += [rate_in_words(job.rate, progress.unit), time_left_in_words(job.seconds_left)]
    return ", ".join(part for part in parts if part)


def _bare(amount: float, unit: str) -> str:
    """An amount before "of"; bytes keep their unit, since it may differ from the total's."""
    return amount_in_words(amount, unit) if unit == "bytes" else f"{amount:,}"
