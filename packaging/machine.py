"""What the machine may lack, found before it hurts: system libraries, fonts, a display, disk, a venv module.

`run.py` asks these questions with nothing but the standard library, so that each answer is a `Trouble`: one
sentence on the cause and the exact command that mends it. Nothing is installed or changed here.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable

GB = 1e9
OS_RELEASE = "/etc/os-release"
# What a set-up writes: 2.3 GB were measured with PyTorch for CPUs, 6.5 GB are what its CUDA build comes to.
NEEDED_GB = 2.9
NEEDED_CUDA_GB = 8.0
NEEDED_TEMPORARY_GB = 0.6

# Shared libraries that Qt's own wheels expect of Linux: (file, Debian package, Fedora package).
QT_LIBRARIES = (
    ("libglib-2.0.so.0", "libglib2.0-0", "glib2"),
    ("libEGL.so.1", "libegl1", "libglvnd-egl"),
    ("libGL.so.1", "libgl1", "libglvnd-glx"),
    ("libfontconfig.so.1", "libfontconfig1", "fontconfig"),
    ("libfreetype.so.6", "libfreetype6", "freetype"),
    ("libdbus-1.so.3", "libdbus-1-3", "dbus-libs"),
    ("libX11.so.6", "libx11-6", "libX11"),
    ("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon"),
)
X11_LIBRARIES = (
    ("libX11-xcb.so.1", "libx11-xcb1", "libX11-xcb"),
    ("libxcb.so.1", "libxcb1", "libxcb"),
    ("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor"),
    ("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm"),
    ("libxcb-image.so.0", "libxcb-image0", "xcb-util-image"),
    ("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms"),
    ("libxcb-randr.so.0", "libxcb-randr0", "libxcb"),
    ("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil"),
    ("libxcb-render.so.0", "libxcb-render0", "libxcb"),
    ("libxcb-shape.so.0", "libxcb-shape0", "libxcb"),
    ("libxcb-shm.so.0", "libxcb-shm0", "libxcb"),
    ("libxcb-sync.so.1", "libxcb-sync1", "libxcb"),
    ("libxcb-util.so.1", "libxcb-util1", "xcb-util"),
    ("libxcb-xfixes.so.0", "libxcb-xfixes0", "libxcb"),
    ("libxcb-xkb.so.1", "libxcb-xkb1", "libxcb"),
    ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11"),
)
WAYLAND_LIBRARIES = (
    ("libwayland-client.so.0", "libwayland-client0", "libwayland-client"),
    ("libwayland-cursor.so.0", "libwayland-cursor0", "libwayland-cursor"),
)
FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/run/host/fonts",
)


class Trouble(Exception):  # noqa: N818 - most of these are no errors but things to fetch
    """A cause in one sentence, and the command or act that mends it."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return self.cause + "\n  " + self.remedy


def is_linux() -> bool:
    """Whether this is Linux: only there are libraries, fonts and the display a question."""
    return sys.platform.startswith("linux")


def distribution() -> str:
    """`debian`, `fedora`, or "" for a Linux whose package names are not in the tables."""
    try:
        with open(OS_RELEASE, encoding="utf-8") as file:
            lines = file.read().replace('"', "").splitlines()
    except OSError:
        return ""
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    names = (facts.get("ID", "") + " " + facts.get("ID_LIKE", "")).split()
    if "debian" in names or "ubuntu" in names:
        return "debian"
    return "fedora" if "fedora" in names or "rhel" in names else ""


def install_command(packages: dict[str, list[str]]) -> str:
    """The command that installs system packages; `packages` maps each distribution to its names.

    The key "" holds what to look for where the distribution is not known.
    """
    system = distribution()
    sudo = "" if not hasattr(os, "geteuid") or os.geteuid() == 0 else "sudo "
    names = " ".join(sorted(set(packages[system])))
    if system == "debian":
        return f"{sudo}apt-get update && {sudo}apt-get install -y {names}"
    if system == "fedora":
        return f"{sudo}dnf install -y {names}"
    return "Install with your system's package manager what provides: " + names


def missing_libraries(display: bool = True) -> tuple[tuple[str, str, str], ...]:
    """The rows of the tables above whose library cannot be loaded; without a display Qt needs fewer."""
    if not is_linux():
        return ()
    wanted = list(QT_LIBRARIES)
    platform = os.environ.get("QT_QPA_PLATFORM", "").split(";")[0].split(":")[0]
    only_wayland = os.environ.get("WAYLAND_DISPLAY") and not os.environ.get("DISPLAY")
    if display and platform in ("", "xcb") and not only_wayland:
        wanted += X11_LIBRARIES
    if display and (platform == "wayland" or (not platform and only_wayland)):
        wanted += WAYLAND_LIBRARIES
    return tuple(row for row in wanted if not can_load(row[0]))


def can_load(library: str) -> bool:
    """Whether the system's loader finds a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def system_trouble(display: bool = True, needs_venv: bool = True) -> Trouble | None:
    """What the system's package manager must add, as one Trouble with one command, or None."""
    causes = []
    packages: dict[str, list[str]] = {"debian": [], "fedora": [], "": []}
    if needs_venv and not can_make_venv():
        causes.append(
            "this Python cannot make virtual environments (the modules venv and ensurepip are missing)"
        )
        packages["debian"].append("python{}.{}-venv".format(*sys.version_info[:2]))
        packages["fedora"].append("python3-libs")
        packages[""].append("Python's modules venv and ensurepip")
    rows = missing_libraries(display)
    if rows:
        listed = ", ".join(row[0] for row in rows[:4]) + (
            f" and {len(rows) - 4} more" if len(rows) > 4 else ""
        )
        libraries = "a system library" if len(rows) == 1 else f"{len(rows)} system libraries"
        causes.append(f"Qt, which draws the window, misses {libraries} ({listed})")
        packages["debian"] += [row[1] for row in rows]
        packages["fedora"] += [row[2] for row in rows]
        packages[""] += [row[0] for row in rows]
    if not causes:
        return None
    sentence = " and ".join(causes)
    return Trouble(sentence[0].upper() + sentence[1:] + ".", "Install: " + install_command(packages))


def can_make_venv() -> bool:
    """Whether venv and the pip that it brings are there: Debian packs them apart from Python."""
    return all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip"))


def display_trouble() -> Trouble | None:
    """None where a window can open; on a Linux without a display, what to do."""
    if not is_linux() or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        return None
    packages = {"debian": ["xvfb", "xauth"], "fedora": ["xorg-x11-server-Xvfb"], "": ["xvfb-run"]}
    first = "" if shutil.which("xvfb-run") else install_command(packages) + " && "
    return Trouble(
        "There is no display to open a window on (neither DISPLAY nor WAYLAND_DISPLAY is set).",
        "Start it in a desktop session or over `ssh -X`; the command line needs no display: "
        "python3 run.py -- --help; a virtual screen: " + first + "xvfb-run -a python3 run.py",
    )


def fonts_trouble(site_packages: str) -> Trouble | None:
    """None where some font is there, of the system or of a font package; else how to get one."""
    if not is_linux():
        return None
    folders = [os.path.expanduser(folder) for folder in FONT_FOLDERS]
    if any(_holds_font(folder) for folder in font_packages(site_packages) + folders):
        return None
    packages = {
        "debian": ["fonts-dejavu-core"],
        "fedora": ["dejavu-sans-fonts"],
        "": ["a TrueType font, e.g. DejaVu"],
    }
    return Trouble(
        "No font was found on this machine, so the window would show no letters.",
        "Install one: " + install_command(packages),
    )


def font_packages(site_packages: str) -> list[str]:
    """The folders of the font packages that the set-up added."""
    if not os.path.isdir(site_packages):
        return []
    found = [name for name in os.listdir(site_packages) if name.startswith("fontpkg_")]
    return [os.path.join(site_packages, name) for name in found]


def _holds_font(folder: str) -> bool:
    for _, _, names in os.walk(folder):
        if any(name.lower().endswith((".ttf", ".otf", ".ttc")) for name in names):
            return True
    return False


def disk_trouble(folder: str, needed_gb: float = NEEDED_GB) -> Trouble | None:
    """None where the set-up fits on the disk, else how much is missing and where."""
    here = shutil.disk_usage(folder).free / GB
    if here < needed_gb:
        return Trouble(
            f"The disk that holds {folder} has {here:.1f} GB free, the set-up needs {needed_gb:.1f} GB.",
            f"Free {needed_gb - here:.1f} GB or move the folder to a larger disk; to empty pip's store: "
            f"{os.path.basename(sys.executable)} -m pip cache purge",
        )
    temporary = tempfile.gettempdir()
    there = shutil.disk_usage(temporary).free / GB
    if there < NEEDED_TEMPORARY_GB:
        example = "set TMPDIR=D:\\tmp" if os.name == "nt" else "mkdir -p ~/tmp && TMPDIR=~/tmp python3 run.py"
        return Trouble(
            f"The folder for temporary files, {temporary}, has {there:.1f} GB free; "
            f"unpacking needs {NEEDED_TEMPORARY_GB:.1f} GB.",
            "Use another one: " + example,
        )
    return None


# What tests need besides: whether it is missing, and the Debian package that brings it.
EXTRAS: dict[str, tuple[Callable[[], bool], str]] = {
    "xvfb": (lambda: not shutil.which("Xvfb"), "xvfb"),
    "fonts": (lambda: fonts_trouble("") is not None, "fonts-dejavu-core"),
    "compiler": (lambda: not shutil.which("c++"), "g++"),
    "postgresql": (lambda: not glob.glob("/usr/lib/postgresql/*/bin/postgres"), "postgresql"),
}


def debian_packages(extras: list[str]) -> list[str]:
    """Every Debian package that is missing here; `extras` may ask for some of `EXTRAS` as well.

    Python's venv package is not named where this Python can do without, such as one that was built by hand.
    """
    names = [row[1] for row in missing_libraries(display=True)]
    if not can_make_venv():
        names.append("python{}.{}-venv".format(*sys.version_info[:2]))
    names += [package for extra, (missing, package) in EXTRAS.items() if extra in extras and missing()]
    return sorted(set(names)) if distribution() == "debian" else []


if __name__ == "__main__":  # for .ci/run: the names alone, on one line
    print(*debian_packages([argument for argument in sys.argv[1:] if argument != "--packages"]))
