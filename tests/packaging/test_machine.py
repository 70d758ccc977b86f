"""What a machine may lack: each cause is faked, and must give one sentence and the exact command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import machine

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _debian_as_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete Debian desktop, seen by an ordinary user; each test takes one thing away."""
    monkeypatch.setattr(machine, "is_linux", lambda: True)
    monkeypatch.setattr(machine, "distribution", lambda: "debian")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(machine, "can_load", lambda library: True)
    monkeypatch.setattr(machine, "can_make_venv", lambda: True)
    for name in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")


def lose(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    monkeypatch.setattr(machine, "can_load", lambda library: library not in libraries)


def test_a_complete_machine_has_no_trouble() -> None:
    assert machine.system_trouble() is None
    assert machine.display_trouble() is None


def test_one_missing_library_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose(monkeypatch, "libxcb-cursor.so.0")
    trouble = machine.system_trouble()
    assert trouble is not None
    assert trouble.cause == "Qt, which draws the window, misses a system library (libxcb-cursor.so.0)."
    assert trouble.remedy == "Install: sudo apt-get update && sudo apt-get install -y libxcb-cursor0"


def test_fedora_gets_its_own_package_names(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, "libEGL.so.1", "libxkbcommon-x11.so.0")
    monkeypatch.setattr(machine, "distribution", lambda: "fedora")
    trouble = machine.system_trouble()
    assert trouble is not None
    assert trouble.remedy == "Install: sudo dnf install -y libglvnd-egl libxkbcommon-x11"


def test_an_unknown_linux_is_told_the_names_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, "libEGL.so.1")
    monkeypatch.setattr(machine, "distribution", lambda: "")
    assert "libEGL.so.1" in machine.system_trouble().remedy


def test_root_is_not_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, "libEGL.so.1")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0, raising=False)
    assert "sudo" not in machine.system_trouble().remedy


def test_without_the_venv_module_the_package_of_this_very_python_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "can_make_venv", lambda: False)
    trouble = machine.system_trouble()
    assert trouble is not None
    assert trouble.cause.startswith("This Python cannot make virtual environments")
    assert trouble.remedy.endswith("python{}.{}-venv".format(*sys.version_info[:2]))
    assert machine.system_trouble(needs_venv=False) is None  # where the environment is there already


def test_everything_that_is_missing_comes_in_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "can_make_venv", lambda: False)
    monkeypatch.setattr(machine, "can_load", lambda library: False)
    trouble = machine.system_trouble()
    assert trouble is not None
    assert trouble.remedy.count("install -y") == 1
    wanted = [row[1] for row in machine.QT_LIBRARIES + machine.X11_LIBRARIES]
    assert set(wanted) < set(trouble.remedy.split())
    assert "and 20 more" in trouble.cause  # 24 names would be no sentence


def test_without_a_window_the_libraries_of_x11_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, *(row[0] for row in machine.X11_LIBRARIES))
    assert machine.system_trouble(display=False) is None
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert machine.system_trouble() is None


def test_a_wayland_desktop_is_asked_for_waylands_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, "libwayland-cursor.so.0", *(row[0] for row in machine.X11_LIBRARIES))
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert machine.system_trouble().remedy.endswith("install -y libwayland-cursor0")


def test_no_display_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    trouble = machine.display_trouble()
    assert trouble is not None
    assert trouble.cause.startswith("There is no display")
    assert "apt-get install -y xauth xvfb && xvfb-run -a python3 run.py" in trouble.remedy
    monkeypatch.setattr(machine.shutil, "which", lambda name: "/usr/bin/" + name)
    assert "apt-get" not in machine.display_trouble().remedy


def test_windows_and_macos_are_not_asked_for_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setattr(machine, "is_linux", lambda: False)
    monkeypatch.setattr(machine, "can_load", lambda library: False)
    assert machine.display_trouble() is None
    assert machine.system_trouble() is None
    assert machine.fonts_trouble("") is None


def test_no_fonts_at_all_names_a_font_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "FONT_FOLDERS", (str(tmp_path / "fonts"),))
    trouble = machine.fonts_trouble(str(tmp_path / "site-packages"))
    assert trouble is not None
    assert trouble.remedy == "Install one: sudo apt-get update && sudo apt-get install -y fonts-dejavu-core"


@pytest.mark.parametrize("where", ["fonts/truetype", "site-packages/fontpkg_inter/files"])
def test_a_font_of_the_system_or_of_the_set_up_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    monkeypatch.setattr(machine, "FONT_FOLDERS", (str(tmp_path / "fonts"),))
    (tmp_path / where).mkdir(parents=True)
    (tmp_path / where / "Some.TTF").write_bytes(b"")
    assert machine.fonts_trouble(str(tmp_path / "site-packages")) is None


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(10e9, 9.5e9, 0.5e9))
    trouble = machine.disk_trouble(str(tmp_path))
    assert trouble is not None
    assert f"{tmp_path} has 0.5 GB free, the set-up needs 2.9 GB" in trouble.cause
    assert trouble.remedy.startswith("Free 2.4 GB")


def test_a_small_folder_for_temporary_files_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: "/tmp")
    free = {"/tmp": 0.1e9}
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(1e11, 0, free.get(str(path), 9e9)))
    monkeypatch.setattr(machine.os, "name", "posix")
    trouble = machine.disk_trouble(str(tmp_path))
    assert trouble is not None
    assert "/tmp, has 0.1 GB free" in trouble.cause
    assert "TMPDIR=~/tmp python3 run.py" in trouble.remedy


def test_room_enough_is_no_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(1e11, 0, 9e10))
    assert machine.disk_trouble(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('ID=debian\nPRETTY_NAME="Debian 12"\n', "debian"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "debian"),
        ("ID=fedora\n", "fedora"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ("ID=arch\n", ""),
        ("nonsense", ""),
    ],
)
def test_the_family_of_a_linux_is_read_from_os_release(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, family: str
) -> None:
    monkeypatch.undo()
    (tmp_path / "os-release").write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "OS_RELEASE", str(tmp_path / "os-release"))
    assert machine.distribution() == family


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has system libraries of Qt to miss"
)
def test_the_tables_name_every_library_that_qt_links_to() -> None:
    """The oracle is Qt itself: what its X11 plugin and QtWidgets declare to need of X11 and OpenGL."""
    if not shutil.which("readelf"):
        pytest.skip("no readelf on this machine")
    import PySide6

    folder = Path(PySide6.__file__).parent
    files = [folder / "Qt/plugins/platforms/libqxcb.so", folder / "QtWidgets.abi3.so"]
    said = subprocess.run(["readelf", "-d", *map(str, files)], capture_output=True, text=True, check=True)
    linked = {line.split("[")[1].rstrip("]") for line in said.stdout.splitlines() if "(NEEDED)" in line}
    xcb = {name for name in linked if name.startswith(("libxcb", "libxkb", "libX11", "libGL", "libEGL"))}
    assert xcb
    named = {row[0] for row in machine.QT_LIBRARIES + machine.X11_LIBRARIES}
    assert xcb <= named


def test_the_list_for_a_bare_machine_asks_for_what_is_missing_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "FONT_FOLDERS", ())
    lose(monkeypatch, "libEGL.so.1")
    assert machine.debian_packages(["xvfb", "fonts"]) == ["fonts-dejavu-core", "libegl1", "xvfb"]
    assert machine.debian_packages([]) == ["libegl1"]
