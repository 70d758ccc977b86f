"""What a person can mend: a problem and its remedy, both with the value in them.

Everything else that is raised is our own bug. Stopping is not an error.
"""

from __future__ import annotations


class LabError(Exception):
    """A fault that the person at the screen can mend.

    Args:
        problem: One sentence that says what is wrong, with the value: "Vocabulary size 12 is below 256."
        remedy: One sentence that says what to do: "Every byte needs an id: choose 256 or more."
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"
