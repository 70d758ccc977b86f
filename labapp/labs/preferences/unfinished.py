"""Sampling that was stopped, or ended with the window: kept in a piece of work, to be gone on with.

`work.json` says what was asked for; `sampled.jsonl` beside it grows by a line for each answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.artifacts import Work, Workspace
from core.preferences.importing import DraftPrompt
from core.preferences.sampling_settings import SampleSettings
from core.preferences.task import Maker
from core.preferences.texts import plain_said, said_of
from core.problems import LabError
from labapp.labs.preferences.making import Making, Place

if TYPE_CHECKING:
    from core.preferences.sampling import Sampled

KIND = "sampling"
FILE = "sampled.jsonl"


class Unfinished:
    """The piece of work of one sampling; open while it runs."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._work: Work | None = None

    def begin(self, making: Making, settings: SampleSettings, title: str) -> None:
        """Keep what is sampled from now on; what was kept of another sampling goes to the trash.

        Raises:
            LabError: The disk refused.
        """
        self.drop()
        state = {
            "title": title, "settings": asdict(settings),
            "prompts": [[plain_said(prompt.prompt), prompt.category] for prompt in making.prompts],
            "places": [[place.key, str(place.path), place.title] for place in making.places],
        }  # fmt: skip
        self._work = self._workspace.new_work(KIND, title[:200] or "prompts", state)
        self.add(making.sampled)

    def add(self, fresh: Sequence[Sampled]) -> None:
        """Keep what was just sampled.

        Raises:
            LabError: The disk refused.
        """
        if self._work is None or not fresh:
            return
        lines = [
            json.dumps(
                [one.prompt_index, one.output_index, one.text, one.maker.model, dict(one.maker.settings)]
            )
            for one in fresh
        ]
        try:
            with open(self._work.folder / FILE, "a", encoding="utf-8") as file:
                file.write("".join(line + "\n" for line in lines))
        except OSError as error:
            raise LabError(f"What was sampled cannot be kept: {error.strerror}.", "Make room.") from error

    def close(self) -> None:
        """Let go of the work; it stays."""
        if self._work is not None:
            self._work.close()
            self._work = None

    def drop(self) -> None:
        """Put what was kept into the trash: it is done, or something else is begun."""
        self.close()
        for info in self._workspace.works(KIND):
            self._workspace.trash_work(KIND, info.id)

    def restore(self, making: Making) -> tuple[str, dict[str, Any]] | None:
        """Take up what an earlier window left: its title and settings come back; None where there is none.

        Raises:
            LabError: It is damaged, or another window is at it.
        """
        left = self._workspace.works(KIND)
        if not left:
            return None
        with self._workspace.open_work(KIND, left[0].id) as work:
            if work.read_only:
                return None
            try:
                prompts = tuple(
                    DraftPrompt(said_of(said, "A prompt"), str(category))
                    for said, category in work.state["prompts"]
                )
                places = [
                    Place(str(key), Path(path), str(title)) for key, path, title in work.state["places"]
                ]
                title, settings = str(work.state["title"]), dict(work.state["settings"])
            except (KeyError, TypeError, ValueError) as error:
                raise LabError(
                    "What was left of a sampling cannot be read.", "Begin the sampling anew."
                ) from error
            making.prompts, making.items, making.places = prompts, (), places
            making.sampled = _read(work.folder / FILE, len(prompts))
        return title, settings


def _read(path: Path, prompts: int) -> list[Sampled]:
    """The answers in a file; a last line that was cut short is sampled again."""
    from core.preferences.sampling import Sampled

    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            at, number, text, model, settings = json.loads(line)
        except ValueError:
            break
        if type(at) is int and 0 <= at < prompts and type(number) is int and 0 <= number < 9:
            found[at, number] = Sampled(at, number, str(text), Maker(str(model), dict(settings)))
    return list(found.values())
