"""What pip, venv and the disk say, turned into a cause and a remedy; the texts are those of the real tools."""

from __future__ import annotations

import doctest
import errno
import os
import subprocess
import sys

import pytest

import environment
import explain

OFFLINE = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new \
connection: [Errno -3] Temporary failure in name resolution')': /simple/numpy/
ERROR: Could not find a version that satisfies the requirement numpy==2.4.6 (from versions: none)
ERROR: No matching distribution found for numpy==2.4.6
"""
NO_WHEEL = """\
ERROR: Ignored the following versions that require a different python version: 2.4.6 Requires-Python >=3.11
ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)
ERROR: No matching distribution found for torch==2.13.0
"""
DISK_FULL = """\
Installing collected packages: torch
ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
"""
CERTIFICATE = """\
Could not fetch URL https://pypi.org/simple/numpy/: There was a problem confirming the ssl certificate: \
HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded with url: /simple/numpy/ (Caused by SSLError(\
SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed'))) - skipping
ERROR: No matching distribution found for numpy==2.4.6
"""
WRONG_HASH = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, \
please update the hashes. Otherwise, examine the package contents carefully; someone may have tampered with them.
    fontpkg-inter==4.1.post1 from https://example.org/fontpkg_inter.whl:
"""
NO_ENSUREPIP = """\
The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.11-venv
"""
NOT_ALLOWED = (
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/opt/lab/.venv/x'\n"
)


@pytest.mark.parametrize(
    ("said", "cause", "remedy"),
    [
        (
            OFFLINE,
            "There is no connection to the package index, so PyTorch could not be fetched.",
            "HTTPS_PROXY=",
        ),
        (NO_WHEEL, "The package index has no torch==2.13.0 for Python", "Python from 3.11 to 3.14"),
        (DISK_FULL, "The disk became full while installing PyTorch", "Free 2.9 GB"),
        (CERTIFICATE, "a certificate that this machine does not trust", "export PIP_CERT="),
        (WRONG_HASH, "not the file that was pinned (its sha256 differs)", "Nothing was installed"),
        (NO_ENSUREPIP, "This Python cannot make virtual environments.", "venv"),
        (NOT_ALLOWED, "Permission denied: '/opt/lab/.venv/x'", "Make the folder your own"),
        (
            "ERROR: the disk is haunted\n[notice] A new release of pip",
            "PyTorch could not be installed: the disk is haunted",
            "setup.log",
        ),
    ],
    ids=[
        "offline",
        "no wheel",
        "disk full",
        "certificate",
        "hash",
        "no ensurepip",
        "not allowed",
        "anything else",
    ],
)
def test_what_pip_says_becomes_one_sentence_and_what_mends_it(said: str, cause: str, remedy: str) -> None:
    trouble = explain.explain("PyTorch (190 MB to fetch)", explain.Result(1, said), "/lab/.venv/setup.log")
    assert cause in trouble.cause
    assert remedy in trouble.remedy
    assert "\n" not in trouble.cause


def test_pip_without_a_network_is_understood_as_it_really_speaks() -> None:
    """The oracle is pip itself, sent to a port of this machine on which nobody listens."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("this environment has no pip")
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "HTTP", "http"))
    }
    environ.update(PIP_CONFIG_FILE=os.devnull, NO_PROXY="*")
    options = [
        "--retries",
        "1",
        "--index-url",
        "http://127.0.0.1:9/simple",
        "--dry-run",
        "--ignore-installed",
    ]
    said = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "install", *options, "numpy"],
        env=environ, capture_output=True, text=True,
    )  # fmt: skip
    trouble = explain.explain("numpy", explain.Result(said.returncode, said.stdout + said.stderr), "log")
    assert said.returncode != 0
    assert trouble.cause.startswith("There is no connection to the package index")


def test_a_disk_that_fills_up_between_pip_calls_is_called_full() -> None:
    trouble = explain.explain_os_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert trouble.cause == "The disk is full: no space left on device."


def test_a_file_that_is_held_open_elsewhere_is_named() -> None:
    trouble = explain.explain_os_error(
        PermissionError(errno.EACCES, "Access is denied", "C:\\lab\\.venv\\x.dll")
    )
    assert "C:\\lab\\.venv\\x.dll" in trouble.cause
    assert "Close other windows" in trouble.remedy


def test_the_examples_in_the_front_doors_docstrings_hold() -> None:
    for module in (environment, explain):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0
