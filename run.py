"""The front door of LLM Lab: `python3 run.py` sets everything up beside this file and opens the window.

This file only checks that Python is new enough, so any Python, even 2.7, must be able to read it. What it
does then is in packaging/commands.py (the commands), environment.py (the set-up) and machine.py (what the
machine may lack); all of it needs nothing but Python's standard library.
"""

import os
import sys

OLDEST = (3, 11)


def how_to_get_python():
    """The command that brings a Python that is new enough, on this system."""
    if sys.platform == "win32":
        return "winget install Python.Python.3.12   then: py -3.12 run.py"
    if sys.platform == "darwin":
        return "brew install python@3.12   (or https://www.python.org/downloads/) then: python3.12 run.py"
    return (
        "sudo apt-get install -y python3.11 python3.11-venv   (Fedora: sudo dnf install python3.12) "
        "then: python3.11 run.py   (older systems: https://www.python.org/downloads/)"
    )


if sys.version_info < OLDEST:
    sys.stderr.write(
        "LLM Lab needs Python {0}.{1} or newer; this is Python {2}.{3}.\n  Get it: {4}\n".format(
            *(OLDEST + tuple(sys.version_info[:2]) + (how_to_get_python(),))
        )
    )
    sys.exit(1)

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "packaging"))
    from commands import main

    sys.exit(main(sys.argv[1:]))
