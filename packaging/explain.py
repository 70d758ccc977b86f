"""What pip, venv or the disk said, turned into one sentence on the cause and the command that mends it."""

from __future__ import annotations

import errno
import os
import platform
import re
import sys
from dataclasses import dataclass

import machine
from machine import Trouble

AGAIN = "then start it again: " + ("py run.py" if os.name == "nt" else "python3 run.py")


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code and everything that it wrote."""

    code: int
    text: str


FULL = re.compile(
    r"No space left on device|Errno 28\b|disk full|not enough space on the disk|quota exceeded", re.I
)
NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Network is unreachable"
    r"|ConnectTimeoutError|ReadTimeoutError|Connection refused|getaddrinfo failed|nodename nor servname"
    r"|Name or service not known|ProxyError|Connection reset|No route to host",
    re.I,
)
BAD_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED", re.I)
BAD_HASH = re.compile(r"DO NOT MATCH THE HASHES", re.I)
NO_SUCH_PACKAGE = re.compile(r"No matching distribution found for (\S+)")
NOT_ALLOWED = re.compile(
    r"Permission denied|Errno 13\b|Read-only file system|Errno 30\b|Access is denied", re.I
)
NO_ENSUREPIP = re.compile(r"ensurepip is not\s+available|No module named '?(venv|ensurepip)")


def explain(what: str, result: Result, log: str) -> Trouble:
    """Turn what pip or venv wrote into one sentence on the cause, and what mends it."""
    text = result.text
    what = re.sub(r" \(.*\)$", "", what)  # its size belongs to the step, not to the sentence
    if NO_ENSUREPIP.search(text):
        packages = {
            "debian": ["python{}.{}-venv".format(*sys.version_info[:2])],
            "fedora": ["python3-libs"],
            "": ["Python's modules venv and ensurepip"],
        }
        return Trouble(
            "This Python cannot make virtual environments.", "Install: " + machine.install_command(packages)
        )
    if FULL.search(text):
        return Trouble(
            f"The disk became full while installing {what}: no space left on device.",
            f"Free {machine.NEEDED_GB} GB, {AGAIN}",
        )
    if NO_NETWORK.search(text):
        return Trouble(
            f"There is no connection to the package index, so {what} could not be fetched.",
            f"Connect to the network (behind a proxy: export HTTPS_PROXY=http://host:port), {AGAIN}",
        )
    if BAD_CERTIFICATE.search(text):
        return Trouble(
            f"The package index has a certificate that this machine does not trust, so {what} could not be "
            "fetched.",
            f"Give pip your network's certificate: export PIP_CERT=/path/to/certificate.pem, {AGAIN}",
        )
    if BAD_HASH.search(text):
        return Trouble(
            f"What the package index gave as {what} is not the file that was pinned (its sha256 differs).",
            f"Nothing was installed; use another index, {AGAIN}",
        )
    if NOT_ALLOWED.search(text):
        return Trouble(
            f"A file could not be written while installing {what}: {last_useful_line(text)}",
            f"Make the folder your own, {AGAIN}",
        )
    absent = NO_SUCH_PACKAGE.search(text)
    if absent:
        bits = 64 if sys.maxsize > 2**32 else 32
        return Trouble(
            "The package index has no {} for Python {}.{}, {} bits, on {}.".format(
                absent.group(1), *sys.version_info[:2], bits, platform.machine()
            ),
            f"Use a 64-bit Python from 3.11 to 3.14 (https://www.python.org/downloads/), {AGAIN}",
        )
    return Trouble(
        f"{what[0].upper() + what[1:]} could not be installed: {last_useful_line(text)}",
        f"The whole report is in {log}; mend that, {AGAIN}",
    )


def explain_os_error(error: OSError) -> Trouble:
    """A fault of the disk or its permissions that came up between pip calls, as cause and remedy."""
    if error.errno == errno.ENOSPC:
        return Trouble("The disk is full: no space left on device.", f"Free {machine.NEEDED_GB} GB, {AGAIN}")
    place = f" {error.filename}" if error.filename else ""
    return Trouble(
        f"The system refused access to a file of the set-up:{place} ({error.strerror}).",
        f"Close other windows of LLM Lab and make the folder your own, {AGAIN}",
    )


def last_useful_line(text: str) -> str:
    """The last line that says what went wrong.

    >>> last_useful_line("Collecting a\\nERROR: a is broken\\n\\n[notice] A new release of pip\\n")
    'a is broken'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and "[notice]" not in line]
    errors = [line for line in lines if re.match(r"(ERROR|OSError|error|Error)\b", line)]
    return re.sub(r"^(ERROR|error): ", "", (errors or lines or ["it said nothing"])[-1])
