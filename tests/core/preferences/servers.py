"""A PostgreSQL server of one's own, on a Unix socket, for as long as a test runs; None where there is none
here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_OPTIONS = (
    "listen_addresses=''", "max_connections=80", "shared_buffers=64MB",
    "recovery_init_sync_method=syncfs",  # else a restart syncs a thousand files one by one, for seconds
)  # fmt: skip


def binaries() -> Path | None:
    """The folder of initdb, where PostgreSQL is installed and somebody may run it."""
    found = shutil.which("initdb")
    places = (
        [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((place for place in places if (place / "initdb").is_file()), None)


def why_not() -> str:
    """Why no server can be started here, or ""."""
    if sys.platform == "win32":
        return "the tests start PostgreSQL on Unix only"
    if binaries() is None:
        return "PostgreSQL is not installed"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL refuses to run as root, and there is no other user to run it as"
    return ""


def _user() -> str | None:
    import pwd

    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    return None


class Server:
    """A server in a folder of its own, which is short enough for the name of a socket."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self.user = _user() if os.geteuid() == 0 else None
        self.data = self.folder / "data"
        if self.user:
            shutil.chown(self.folder, self.user)
        os.chmod(self.folder, 0o755)
        self._run("initdb", "-D", str(self.data), "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C")
        self.start()

    def url(self, user: str = "owner", database: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        options = f"-k {self.folder} " + " ".join(f"-c {one}" for one in _OPTIONS)
        for _ in range(40):  # after SIGKILL, the last children must be gone first
            if self._run(
                "pg_ctl",
                "-D",
                str(self.data),
                "-w",
                "-l",
                str(self.folder / "log"),
                "-o",
                options,
                "start",
                check=False,
            ):
                return
            time.sleep(0.25)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """SIGKILL for the server's first process; its children notice and go."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def sql(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: str, check: bool = True) -> bool:
        place = binaries()
        assert place is not None
        done = subprocess.run(
            [str(place / program), *words], cwd="/tmp", user=self.user, group=self.user and _group(self.user),
            extra_groups=[] if self.user else None, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if check else subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode()}")
        return not done.returncode


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
