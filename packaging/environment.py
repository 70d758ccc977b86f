"""The set-up: one virtual environment beside run.py, filled step by step, trusted only when a stamp says so.

Three small files in .venv say how far it came: `llmlab-place.json` (which Python made it, for which folder;
written first), `llmlab-doing` (a pip call is at work; a leftover means that it was cut off) and
`llmlab-stamp.json` (what is complete, for which pins; written last). pip's own words go to `setup.log`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import machine
from explain import AGAIN, FULL, NO_NETWORK, NO_SUCH_PACKAGE, Result, explain
from machine import Trouble

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
EXTRAS = {
    "test": "what the tests need (190 MB to fetch, 0.5 GB on disk)",
    "check": "the checking tools (30 MB to fetch, 0.1 GB on disk)",
}
SIGN_OF_LIFE = 10.0  # seconds without a line after which the set-up says that it is still at work


@dataclass(frozen=True)
class DataPackage:
    """One line of packaging/requirements-data.txt.

    Attributes:
        title: What it is, for a person: "the typeface Inter (1.0 MB)".
        name: The package's name.
        line: The whole requirement, with its hash.
    """

    title: str
    name: str
    line: str


def read_data_packages(text: str) -> list[DataPackage]:
    """The packages of a requirements file; a comment right above a line is its title.

    >>> read_data_packages("# a font (1 MB)\\nfont==1 --hash=sha256:00\\n")[0].title
    'a font (1 MB)'
    """
    packages, title = [], ""
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            name = re.split(r"[=<>~! ]", line)[0]
            packages.append(DataPackage(title or name, name, line))
        title = line.lstrip("# ") if line.startswith("#") else ""
    return packages


class Environment:
    """The virtual environment of one checkout.

    Args:
        root: The folder that holds run.py and pyproject.toml.
        say: Shows a person one line of progress.
    """

    def __init__(self, root: Path = ROOT, say: Callable[[str], None] = print) -> None:
        self.root = root
        self.say = say
        self.folder = root / ".venv"
        self.log = self.folder / "setup.log"
        self.requirements = root / "packaging" / "requirements-data.txt"
        self._place = self.folder / "llmlab-place.json"
        self._doing = self.folder / "llmlab-doing"
        self._stamp = self.folder / "llmlab-stamp.json"
        self._steps = (0, 0)
        self._lock: int | None = None

    # What is known without running anything: this is all that a second start costs.

    @property
    def python(self) -> Path:
        """The environment's own Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site_packages(self) -> Path:
        """The folder that packages are installed into."""
        if os.name == "nt":
            return self.folder / "Lib" / "site-packages"
        return self.folder / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"

    def wanted_place(self) -> dict[str, str]:
        """Which Python, and which folder: where one differs, the environment is made anew."""
        return {
            "python": "{} {}.{}".format(sys.implementation.name, *sys.version_info[:2]),
            "base": sys.base_prefix,
            "machine": platform.machine(),
            "root": str(self.root),
        }

    def wanted_pins(self) -> str:
        """A hash of everything that says which packages belong in here."""
        digest = hashlib.sha256()
        for file in (self.root / "pyproject.toml", self.requirements):
            digest.update(file.read_bytes() + b"\0")
        return digest.hexdigest()

    def stamp(self) -> dict[str, object]:
        """What is complete: `{"done": ["app"], "missing": [...]}`, or nothing where that is not certain."""
        found = _read_json(self._stamp)
        if self._doing.exists() or found.get("pins") != self.wanted_pins() or not self.python.exists():
            return {}
        return found if _read_json(self._place) == self.wanted_place() else {}

    def has(self, part: str) -> bool:
        """Whether a part ("app", "test", "check") is complete."""
        return part in _words(self.stamp().get("done"))

    def missing_data(self) -> list[str]:
        """Names of the data packages that could not be had."""
        return _words(self.stamp().get("missing"))

    # The set-up.

    def ensure(self, part: str = "app", data_again: bool = False) -> None:
        """Make a part complete; "test" and "check" are the extras of that name.

        Args:
            part: "app", "test" or "check".
            data_again: Try again what could not be had last time.

        Raises:
            Trouble: The set-up could not be completed; it goes on from there at the next start.
        """
        if self.has(part) and not (data_again and self.missing_data()):
            return
        with self._locked():
            data = read_data_packages(self.requirements.read_text(encoding="utf-8"))
            app_too = not self.has("app")
            if app_too:
                self._clear_what_is_not_ours()
            data_too = app_too or data_again
            self._steps = (0, 3 * app_too + len(data) * data_too + (part != "app"))
            if app_too:
                self._check_room()
                self._make_venv()
                self._install_torch()
                self._install(
                    "the app and its libraries (200 MB to fetch, 0.7 GB on disk)", ["-e", str(self.root)]
                )
            if data_too:
                self._write_stamp(["app"], self._install_data(data))
            if part != "app":
                self._install(EXTRAS[part], ["-e", f"{self.root}[{part}]"])
                self._write_stamp([part], self.missing_data())

    def _write_stamp(self, parts: list[str], missing: list[str]) -> None:
        done = sorted({*_words(self.stamp().get("done")), *parts})
        _write_json(self._stamp, {"done": done, "missing": missing, "pins": self.wanted_pins()})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the one lock of this environment; it is free once this process and its pip have ended."""
        try:
            self.folder.mkdir(exist_ok=True)
            handle = open(self.folder / "llmlab-lock", "a+b")  # noqa: SIM115 - held until the set-up ends
        except OSError as error:
            raise self._not_writable(error) from None
        with handle:
            try:
                if os.name == "nt":
                    import msvcrt

                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
                else:
                    import fcntl

                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Trouble(
                    f"Another set-up is at work in {self.folder}.", f"Wait until it has ended, {AGAIN}"
                ) from None
            self._lock = handle.fileno()
            try:
                yield
            finally:
                self._lock = None

    def _not_writable(self, error: OSError) -> Trouble:
        home = "%USERPROFILE%\\llm-lab" if os.name == "nt" else "~/llm-lab"
        copy = f'xcopy /e /i "{self.root}" {home}' if os.name == "nt" else f'cp -r "{self.root}" {home}'
        start = "py run.py" if os.name == "nt" else "python3 run.py"
        return Trouble(
            f"The folder {self.root} cannot be written to ({error.strerror}): nothing can be set up in it.",
            f"Copy it to a folder of your own: {copy} && cd {home} && {start}",
        )

    def _clear_what_is_not_ours(self) -> None:
        """Empty the environment where it was cut off, moved, or made by another Python."""
        place = _read_json(self._place)
        if self._doing.exists():
            self._empty("The last set-up was cut off; it starts afresh (pip keeps what it has downloaded).")
        elif place and place != self.wanted_place():
            different = [key for key, value in self.wanted_place().items() if place.get(key) != value]
            self._empty(f"The environment was made for another {' and '.join(different)}; it is made anew.")
        elif not place and (self.folder / "pyvenv.cfg").exists() and not self._is_a_venv_for_here():
            raise Trouble(
                f"{self.folder} was made by another tool or another Python.",
                f"Remove it: {_remove_command(self.folder)}, {AGAIN}",
            )

    def _is_a_venv_for_here(self) -> bool:
        """Whether a virtual environment that a person made by hand fits this Python and this folder."""
        question = "import sys; print(*sys.version_info[:2], sys.prefix, sep='|')"
        try:
            said = subprocess.run([self.python, "-c", question], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return False
        wanted = "{}|{}|{}".format(*sys.version_info[:2], self.folder)
        scripts = self.python.parent / "pip"
        moved = scripts.exists() and str(self.folder).encode() not in scripts.read_bytes()[:500]
        return said.stdout.strip() == wanted and not moved

    def _empty(self, why: str) -> None:
        self.say(why)
        for entry in list(self.folder.iterdir()):
            if entry.name == "llmlab-lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _check_room(self) -> None:
        used = sum(1 for _ in self.site_packages.glob("torch*")) if self.site_packages.exists() else 0
        trouble = None if used else machine.disk_trouble(str(self.folder))
        if trouble:
            raise trouble

    # The steps.

    def _make_venv(self) -> None:
        if self.python.exists() and (self.site_packages / "pip").exists():
            self._next(f"The environment is there already: {self.folder}")
        else:
            began = self._next(f"Making a Python environment in {self.folder}")
            self._doing.write_text("venv", encoding="utf-8")
            _write_json(self._place, self.wanted_place())
            result = self._run([sys.executable, "-m", "venv", str(self.folder)])
            if result.code:
                raise self._explain("the Python environment", result)
            self._doing.unlink()
            self.say(f"    done in {time.monotonic() - began:.0f} s")
        _write_json(self._place, self.wanted_place())

    def _install_torch(self) -> None:
        """PyTorch's build for CPUs where the index has it; the one of PyPI carries CUDA on Linux."""
        if machine.is_linux():
            began = self._next("Installing PyTorch for CPUs (190 MB to fetch, 0.7 GB on disk)")
            result = self._pip([TORCH + "+cpu"])
            if not result.code:
                self.say(f"    done in {time.monotonic() - began:.0f} s")
                return
            if not NO_SUCH_PACKAGE.search(result.text) or NO_NETWORK.search(result.text):
                raise self._explain("PyTorch", result)
            trouble = machine.disk_trouble(str(self.folder), machine.NEEDED_CUDA_GB)
            if trouble:
                cpu = "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu python3 run.py"
                raise Trouble(
                    trouble.cause, trouble.remedy + f"; or take PyTorch's own, small CPU build: {cpu}"
                )
            self.say(
                "    this package index has no CPU build; with CUDA it is 2.7 GB to fetch, 6.5 GB on disk"
            )
            self._steps = (self._steps[0] - 1, self._steps[1])
        self._install("PyTorch", [TORCH])

    def _install_data(self, packages: list[DataPackage]) -> list[str]:
        """Install each data package by itself; returns the names of those that could not be had."""
        missing = []
        for package in packages:
            one = self.folder / f"data-{package.name}.txt"
            one.write_text(package.line + "\n", encoding="utf-8")
            options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(one)]
            try:
                self._install(package.title, options)
            except Trouble as trouble:
                if FULL.search(trouble.cause):
                    raise
                missing.append(package.name)
                self.say(f"    Left out: {package.title}. {trouble.cause} The app opens without it.")
            finally:
                one.unlink(missing_ok=True)
        return missing

    def _install(self, what: str, arguments: list[str]) -> None:
        began = self._next(f"Installing {what}")
        result = self._pip(arguments)
        if result.code:
            raise self._explain(what, result)
        self.say(f"    done in {time.monotonic() - began:.0f} s")

    def _next(self, what: str) -> float:
        self._steps = (self._steps[0] + 1, self._steps[1])
        self.say(f"Step {self._steps[0]} of {self._steps[1]}: {what}")
        return time.monotonic()

    # One pip call.

    def _pip(self, arguments: list[str]) -> Result:
        self._doing.write_text(" ".join(arguments), encoding="utf-8")
        options = ["--disable-pip-version-check", "--no-input", "--retries", "2", "--progress-bar", "off"]
        result = self._run([str(self.python), "-I", "-m", "pip", "install", *options, *arguments])
        if not result.code or "Installing collected packages" not in result.text:
            self._doing.unlink()  # pip changes nothing before it says so: no half package can be left
        return result

    def _run(self, command: list[str]) -> Result:
        """Run a command with its words going to the log, and a sign of life on the screen."""
        environment = {k: v for k, v in os.environ.items() if k not in ("PIP_TARGET", "PIP_PREFIX")}
        environment["PIP_USER"] = "0"  # a configured --user would be refused inside a virtual environment
        lines: list[str] = []
        # A pip that outlives a killed run.py keeps the lock until it, too, has ended.
        kept = () if self._lock is None or os.name == "nt" else (self._lock,)
        try:
            with open(self.log, "a", encoding="utf-8") as log:
                log.write("\n$ " + " ".join(command) + "\n")
                process = subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=self.root,
                    pass_fds=kept,
                )
                with process, _sign_of_life(self.say, lines):
                    for raw in process.stdout or ():
                        line = raw.decode("utf-8", "replace").rstrip()
                        lines.append(line)
                        log.write(line + "\n")
        except OSError as error:
            lines.append(f"OSError: [Errno {error.errno}] {error.strerror}")
            return Result(1, "\n".join(lines))
        return Result(process.returncode, "\n".join(lines))

    def _explain(self, what: str, result: Result) -> Trouble:
        return explain(what, result, str(self.log))


def what_pip_is_at(lines: list[str]) -> str:
    """What the last telling line of pip means.

    >>> what_pip_is_at(["Collecting numpy", "  Downloading numpy-2.whl (16.0 MB)", "Requirement satisfied"])
    'fetching numpy-2.whl (16.0 MB)'
    """
    for line in map(str.strip, reversed(lines)):
        word, _, rest = line.partition(" ")
        if line.startswith("Installing collected packages: "):
            return f"unpacking {rest.count(',') + 1} packages"
        if word in ("Collecting", "Downloading", "Processing", "Building"):
            verb = {"Collecting": "looking for", "Downloading": "fetching"}.get(word, word.lower())
            return f"{verb} {rest[:80]}"
    return "starting"


@contextmanager
def _sign_of_life(say: Callable[[str], None], lines: list[str]) -> Iterator[None]:
    """While a long command runs, say every few seconds what it is at."""
    ended = threading.Event()

    def talk() -> None:
        began = time.monotonic()
        while not ended.wait(SIGN_OF_LIFE):
            say(f"    {time.monotonic() - began:.0f} s: {what_pip_is_at(lines)}")

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _remove_command(folder: Path) -> str:
    return f'rmdir /s /q "{folder}"' if os.name == "nt" else f'rm -r "{folder}"'


def _words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _read_json(path: Path) -> dict[str, object]:
    """A small JSON object, or {} where it is absent or damaged: then the set-up is not trusted."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    fresh = path.with_suffix(".new")
    with open(fresh, "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
