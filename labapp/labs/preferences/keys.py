"""Which digit a key is: by its place on the keyboard, so that AZERTY and Czech digits need no Shift.

The top row's keys have the same places everywhere; what they type differs. Scan codes say the place on
Windows and Linux (X11 and Wayland add 8 to the kernel's), virtual keys on macOS. A number pad says digits.
Where a system gives no place (a remote desktop, a test), what the key types counts.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

_WINDOWS = {code: code - 1 for code in range(2, 11)} | {11: 0}
_LINUX = {code + 8: digit for code, digit in _WINDOWS.items()}
_MAC = {18: 1, 19: 2, 20: 3, 21: 4, 23: 5, 22: 6, 26: 7, 28: 8, 25: 9, 29: 0}
_OTHERS = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
)


def digit_of(event: QKeyEvent, platform: str = sys.platform) -> int | None:
    """The digit of a key, 0 to 9, or None where it is none; with Ctrl, Alt or Meta it never is one."""
    if event.modifiers() & _OTHERS:
        return None
    typed = event.key() - Qt.Key.Key_0.value
    if event.modifiers() & Qt.KeyboardModifier.KeypadModifier:
        return typed if 0 <= typed <= 9 else None  # without Num Lock the pad has arrows
    place = _place(event, platform)
    if place is not None:
        return place
    return typed if 0 <= typed <= 9 else None


def _place(event: QKeyEvent, platform: str) -> int | None:
    if platform == "darwin":
        return _MAC.get(event.nativeVirtualKey())
    return (_WINDOWS if platform == "win32" else _LINUX).get(event.nativeScanCode())
