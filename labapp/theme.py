"""Colors, type and spacing: one table for light and dark, and the style sheet made of it.

The values are those of the product's look: few colors, each with a meaning; text never under 11 px; spacing
in steps of 4. `theme_of(widget)` reads the theme off the palette, so no widget keeps a copy of it.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

RAIL_WIDTH = 168  # px
RAIL_NARROW = 52  # px, icons only
CONTROLS_WIDTH = 252  # px
DETAILS_WIDTH = 284  # px
FOLD_DETAILS_BELOW = 1180  # px of window width
FOLD_RAIL_BELOW = 1000  # px of window width
FOLD_CONTROLS_BELOW = 760  # px of window width
PRESENTER_SCALE = 1.5  # type size in presenter mode
TEXT_SIZES = (1.0, 1.15, 1.3)  # View > Text size

# Okabe–Ito and two more: told apart by color-blind readers. Never the only sign.
CATEGORIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7a00", "#6a51a3")


@dataclass(frozen=True)
class Theme:
    """The colors of one theme, by role, as `#rrggbb`."""

    name: str
    window: str
    panel: str
    rail: str
    line: str
    text: str
    secondary: str
    accent: str
    accent_back: str
    good: str
    warning: str
    weight: str
    on_accent: str

    def chip(self, index: int) -> QColor:
        """Background of a category on the panel: pale enough that text on it keeps its contrast."""
        share = 0.24 if self.name == "light" else 0.36
        return mix(QColor(CATEGORIES[index % len(CATEGORIES)]), QColor(self.panel), share)


LIGHT = Theme(
    name="light", window="#f6f7f9", panel="#ffffff", rail="#eef0f4", line="#dfe3ea", text="#1b2230",
    secondary="#5b6577", accent="#2563c9", accent_back="#e6eefb", good="#117a55", warning="#9a5b00",
    weight="#b45309", on_accent="#ffffff",
)  # fmt: skip
DARK = Theme(
    name="dark", window="#14171d", panel="#1b1f27", rail="#101318", line="#2e3440", text="#e7eaf0",
    secondary="#9aa5b8", accent="#6aa5ff", accent_back="#1f2f4a", good="#4cc38a", warning="#e0a84e",
    weight="#f0b429", on_accent="#101318",
)  # fmt: skip


def mix(color: QColor, with_color: QColor, share: float) -> QColor:
    """`share` of one color and the rest of another, channel by channel."""
    rest = 1 - share
    return QColor(
        round(color.red() * share + with_color.red() * rest),
        round(color.green() * share + with_color.green() * rest),
        round(color.blue() * share + with_color.blue() * rest),
    )


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colors (WCAG 2.1, relative luminance), from 1 to 21."""

    def luminance(name: str) -> float:
        color = QColor(name)
        parts = []
        for channel in (color.redF(), color.greenF(), color.blueF()):
            parts.append(channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4)
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def theme_of(widget: QWidget) -> Theme:
    """The theme that a widget is shown in."""
    return DARK if widget.palette().color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def system_theme() -> Theme:
    """The theme that the desktop asks for; light where it does not say."""
    dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return DARK if dark else LIGHT


def load_fonts() -> list[str]:
    """Load the font packages where they are installed; returns the families that were added.

    The packages are data: they are found, not imported. Without them the system's fonts are used.
    """
    families: list[str] = []
    for package in ("fontpkg_inter", "fontpkg_roboto_mono"):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        folder = Path(next(iter(spec.submodule_search_locations))) / "files"
        for file in sorted(folder.glob("*[[]*.ttf")):
            if "Italic" not in file.name:
                number = QFontDatabase.addApplicationFont(str(file))
                families += QFontDatabase.applicationFontFamilies(number)
    return families


def mono_font(widget: QWidget, scale: float = 1.0) -> QFont:
    """The fixed-width font in which tokens and bytes are shown, at the widget's text size."""
    font = QFont(widget.font())
    font.setFamilies(["Roboto Mono", "DejaVu Sans Mono", "Menlo", "Consolas", "monospace"])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(round(widget.font().pixelSize() * 1.15 * scale))
    return font


def apply_theme(app: QApplication, theme: Theme, scale: float = 1.0) -> None:
    """Give the whole application one theme at one text size."""
    font = QFont()
    font.setFamilies(["Inter", "Inter Variable", "Segoe UI", "Helvetica Neue", "DejaVu Sans", "sans-serif"])
    font.setPixelSize(round(13 * scale))
    font.setFeature(QFont.Tag("tnum"), 1)  # figures of one width: numbers line up in tables
    app.setFont(font)
    app.setPalette(_palette(theme))
    app.setStyleSheet(_style_sheet(theme, scale))


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for name, color in {
        role.Window: theme.window, role.WindowText: theme.text, role.Base: theme.panel,
        role.AlternateBase: theme.window, role.Text: theme.text, role.Button: theme.panel,
        role.ButtonText: theme.text, role.Highlight: theme.accent, role.HighlightedText: theme.on_accent,
        role.ToolTipBase: theme.panel, role.ToolTipText: theme.text, role.PlaceholderText: theme.secondary,
        role.Link: theme.accent, role.Mid: theme.line, role.Dark: theme.line,
    }.items():  # fmt: skip
        palette.setColor(name, QColor(color))
    for name in (role.Text, role.ButtonText, role.WindowText):
        faded = mix(QColor(theme.secondary), QColor(theme.window), 0.75)
        palette.setColor(QPalette.ColorGroup.Disabled, name, faded)
    return palette


def _style_sheet(theme: Theme, scale: float) -> str:
    icons = importlib.resources.files("resources") / "icons"
    values = {
        **theme.__dict__,
        "small": f"{round(12 * scale)}px",
        "title": f"{round(18 * scale)}px",
        "faded": mix(QColor(theme.secondary), QColor(theme.panel), 0.55).name(),
        "chevron": f'url("{Path(str(icons / f"chevron-{theme.name}.png")).as_posix()}")',
        "check": f'url("{Path(str(icons / f"check-{theme.name}.png")).as_posix()}")',
    }
    return re.sub(r"@([a-z_]+)", lambda found: values[found[1]], _SHEET)


# `@name` is replaced by the theme's value. Borders take the focus ring without moving the content.
_SHEET = """
QToolTip { color: @text; background: @panel; border: 1px solid @line; padding: 4px; }
QWidget#panel, QWidget#card { background: @panel; }
QWidget#card { border: 1px solid @line; border-radius: 6px; }
QWidget#rail { background: @rail; border-right: 1px solid @line; }
QWidget#lineage { background: @panel; border-bottom: 1px solid @line; }
QWidget#details { background: @panel; border-left: 1px solid @line; }
QWidget#controls { border-right: 1px solid @line; }
QWidget#strip { background: @panel; border-top: 1px solid @line; }
QWidget#message { background: @accent_back; border: 1px solid @accent; border-radius: 6px; }
QLabel#title { font-size: @title; font-weight: 600; }
QLabel#heading { font-weight: 600; }
QLabel#secondary, QLabel#promise { color: @secondary; }
QLabel#small, QLabel#section { color: @secondary; font-size: @small; }
QLabel#section { font-weight: 600; }
QLabel#good { color: @good; font-weight: 600; }
QLabel#warning { color: @warning; font-weight: 600; }
QStatusBar { background: @rail; border-top: 1px solid @line; color: @secondary; font-size: @small; }
QStatusBar::item { border: none; }
QMenuBar { background: @rail; border-bottom: 1px solid @line; padding: 1px 8px; font-size: @small; }
QMenuBar::item { padding: 3px 8px; background: transparent; }
QMenuBar::item:selected { background: @accent_back; color: @accent; }
QMenu { background: @panel; border: 1px solid @line; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 12px; border-radius: 4px; }
QMenu::item:selected { background: @accent_back; color: @accent; }
QMenu::item:disabled { color: @faded; }
QMenu::separator { height: 1px; background: @line; margin: 4px 8px; }
QPushButton, QToolButton#button {
  background: @panel; border: 1px solid @line; border-radius: 5px; padding: 5px 10px; color: @text; }
QPushButton:hover, QToolButton#button:hover { border-color: @accent; }
QPushButton:pressed, QPushButton:checked { background: @accent_back; border-color: @accent; color: @accent; }
QPushButton:focus, QToolButton#button:focus { border: 2px solid @accent; padding: 4px 9px; }
QPushButton:disabled, QToolButton#button:disabled { color: @faded; background: @window; }
QPushButton#primary { background: @accent; color: @on_accent; border-color: @accent; font-weight: 600; }
QPushButton#primary:disabled { background: @window; color: @faded; border-color: @line; }
QPushButton#primary:focus { border: 2px solid @text; }
QPushButton#sample { padding: 3px 8px; font-size: @small; }
QPushButton#sample:focus { padding: 2px 7px; }
QToolButton#flat { border: 1px solid transparent; border-radius: 5px; padding: 4px; background: transparent; }
QToolButton#flat:hover { background: @accent_back; }
QToolButton#flat:focus { border: 1px solid @accent; }
QToolButton#flat::menu-indicator { image: none; }
QPushButton#picker { text-align: left; padding: 5px 22px 5px 9px; }
QPushButton#picker:focus { padding: 4px 21px 4px 8px; }
QPushButton::menu-indicator { image: @chevron; width: 10px; height: 10px;
  subcontrol-origin: padding; subcontrol-position: right center; right: 8px; }
QPushButton#menu { padding: 5px 26px 5px 10px; }
QPushButton#menu:focus { padding: 4px 25px 4px 9px; }
QToolButton#lab {
  border: none; border-left: 3px solid transparent; padding: 7px 8px 7px 12px; text-align: left;
  background: transparent; }
QToolButton#lab:checked { background: @panel; border-left-color: @accent; color: @accent; font-weight: 600; }
QToolButton#lab:hover { background: @accent_back; }
QToolButton#lab:focus { border: 1px solid @accent; border-left: 3px solid @accent; }
QPushButton#stage { padding: 3px 9px; font-size: @small; }
QPushButton#stage:focus { padding: 2px 8px; }
QPushButton#stage:disabled { border-style: dashed; background: transparent; color: @secondary; }
QTabBar { background: transparent; border: none; }
QTabBar::tab {
  padding: 6px 2px; margin: 0px 8px; border-bottom: 2px solid transparent; color: @secondary;
  background: transparent; }
QTabBar::tab:selected { color: @accent; border-bottom-color: @accent; font-weight: 600; }
QTabBar::tab:focus { border-bottom: 2px solid @text; }
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit {
  background: @panel; border: 1px solid @line; border-radius: 5px; padding: 4px 8px;
  selection-background-color: @accent; selection-color: @on_accent; }
QPlainTextEdit { padding: 2px 4px; }
QLineEdit:focus, QSpinBox:focus, QComboBox:focus, QPlainTextEdit:focus, QDoubleSpinBox:focus {
  border: 2px solid @accent; padding: 3px 7px; }
QPlainTextEdit:focus { padding: 1px 3px; }
QComboBox::drop-down { border: none; width: 20px; }
QComboBox::down-arrow { image: @chevron; width: 10px; height: 10px; }
QComboBox QAbstractItemView { background: @panel; border: 1px solid @line;
  selection-background-color: @accent_back;
  selection-color: @accent; outline: none; }
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {
  width: 0px; border: none; }
QCheckBox { spacing: 8px; padding: 2px; border: 1px solid transparent; border-radius: 4px; }
QCheckBox:focus { border: 1px solid @accent; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid @secondary; border-radius: 3px;
  background: @panel; }
QCheckBox::indicator:checked { background: @accent; border-color: @accent; image: @check; }
QSlider { min-height: 22px; border: 1px solid transparent; border-radius: 4px; }
QSlider:focus { border: 1px solid @accent; }
QSlider::groove:horizontal { height: 4px; background: @line; border-radius: 2px; }
QSlider::sub-page:horizontal { background: @accent; border-radius: 2px; }
QSlider::handle:horizontal {
  width: 12px; height: 12px; margin: -6px 0px; border-radius: 8px; background: @panel;
  border: 2px solid @accent; }
QSlider::sub-page:horizontal:disabled { background: @line; }
QSlider::handle:horizontal:disabled { border-color: @faded; }
QTableView, QListView, QTreeView {
  background: @panel; border: none; gridline-color: @line; alternate-background-color: @panel;
  selection-background-color: @accent_back; selection-color: @text; outline: none; }
QTableView:focus, QListView:focus { border: 1px solid @accent; }
QTableView::item { border-bottom: 1px solid @line; padding: 0px 4px; }
QTableView::item:selected { background: @accent_back; color: @text; }
QHeaderView { background: @panel; border: none; }
QHeaderView::section { background: @panel; color: @secondary; border: none; border-bottom: 1px solid @line;
  padding: 3px 4px; font-size: @small; }
QProgressBar { background: @line; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }
QProgressBar::chunk { background: @accent; border-radius: 3px; }
QScrollBar:vertical { width: 10px; background: transparent; }
QScrollBar:horizontal { height: 10px; background: transparent; }
QScrollBar::handle { background: @line; border-radius: 5px; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: @secondary; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0px; height: 0px; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: @accent_back; }
"""
