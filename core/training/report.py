"""A run as one page of HTML that needs nothing else: settings, figures, curves as SVG, samples.

Every text of a person or a model is escaped; the page holds no script and names no other file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.training.history import History, smoothed

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")  # Okabe–Ito
WIDTH, HEIGHT = 720, 260  # px of a picture
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 34
_MOST = 1500  # points of a curve; a longer one is thinned to the lowest and highest of each piece
BETA = 0.9  # of the moving average
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#1b2230}"
    "table{border-collapse:collapse}td,th{padding:.15em .8em .15em 0;text-align:left;vertical-align:top}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}small,.q{color:#5b6577}"
    "pre{white-space:pre-wrap;background:#f6f7f9;padding:.6em}svg{max-width:100%;height:auto}"
)


@dataclass(frozen=True)
class Line:
    """A curve: its name and its points; those that are no numbers leave a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def run_report(name: str, history: History) -> str:
    """The page.

    Args:
        name: What the run is called.
        history: What it told.
    """
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(name)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(name)}</h1>",
        _table("Figures", _figures(history)),
        *(f"<h2>{escape(title)}</h2>{picture}" for title, picture in _pictures(history)),
        _samples(history),
        _table("Settings", _settings(history)),
        f"<p><small>Raw values and their moving average with β = {BETA}, without the pull of its beginning "
        "(Kingma and Ba, arXiv 1412.6980, section 3). Written by LLM Lab.</small></p></html>",
    ]
    return "\n".join(part for part in parts if part)


def _figures(history: History) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if history.began is not None:
        began = history.began
        rows += [
            ("Parameters", f"{began.parameters:,}"),
            ("Training text", f"{began.tokens:,} tokens"),
            ("Never trained on", f"{began.validation_tokens:,} tokens"),
            ("Loss of one who knows nothing, ln(vocabulary)", f"{began.chance_loss:.3f} nats a token"),
            ("Loss of one who knows frequencies only", f"{began.unigram_loss:.3f} nats a token"),
            ("Precision", began.precision),
        ]
        if began.floor_loss is not None:
            rows.append(("What the generator drew", f"{began.floor_loss:.3f} nats a token"))
    if history.steps:
        last = history.steps[-1]
        planned = f" of {history.began.steps:,}" if history.began is not None else ""
        rows += [
            ("Steps", f"{last.step:,}{planned}"),
            ("Tokens trained on", f"{last.tokens:,}"),
            ("Time trained", f"{last.seconds / 60:.1f} minutes"),
            ("Speed at the end", f"{last.tokens_per_second:,.0f} tokens/s"),
            ("Last training loss", f"{last.loss:.3f} nats a token"),
        ]
    if history.best is not None:
        best = history.best
        rows += [
            ("Best validation loss", f"{best.loss:.3f} nats a token, at step {best.step:,}"),
            ("The same in bits a byte", f"{best.bits_per_byte:.3f}"),
            ("As if choosing among", f"{math.exp(min(best.loss, 700)):,.1f} equally likely tokens"),
        ]
    rows += [(f"From step {one.step:,} on", f"learning rate times {one.factor:g}") for one in history.changes]
    return rows


def _settings(history: History) -> list[tuple[str, str]]:
    if history.plan is None:
        return []
    values = history.plan.to_json()
    rows = values["corpus"] | values["shape"] | values["settings"]
    return [(key, f"{value:g}" if isinstance(value, float) else str(value)) for key, value in rows.items()]


def _pictures(history: History) -> list[tuple[str, str]]:
    x = [float(one.step) for one in history.steps]
    raw = [one.loss for one in history.steps]
    looked = [float(one.step) for one in history.validated]
    lines = [
        Line("training", x, raw),
        Line(f"moving average (β {BETA})", x, smoothed(raw, BETA)),
        Line("validation", looked, [one.loss for one in history.validated]),
    ]
    if history.began is not None and x:
        levels = (
            ("knows nothing", history.began.chance_loss),
            ("knows frequencies only", history.began.unigram_loss),
            ("what the generator drew", history.began.floor_loss),
        )
        lines += [Line(name, (x[0], x[-1]), (y, y)) for name, y in levels if y is not None]
    return [
        ("Loss", curves_svg("loss (nats a token)", lines)),
        (
            "Learning rate",
            curves_svg("learning rate", [Line("learning rate", x, [one.rate for one in history.steps])]),
        ),
        (
            "Gradient",
            curves_svg(
                "length of the gradient", [Line("gradient", x, [one.gradient for one in history.steps])]
            ),
        ),
    ]


def _samples(history: History) -> str:
    if not history.sampled:
        return ""
    last = history.sampled[-1].step
    steps = sorted({one.step for one in history.sampled})
    shown = {steps[0], steps[len(steps) // 2], last}
    rows = [
        f"<p class='q'>step {one.step:,}</p><pre><b>{escape(one.prompt)}</b>{escape(one.text)}</pre>"
        for one in history.sampled
        if one.step in shown
    ]
    return "<h2>What it wrote, always the most probable token</h2>" + "\n".join(rows)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>{escape(title)}</h2><table>{lines}</table>"


# Pictures


def curves_svg(y_title: str, lines: Sequence[Line]) -> str:
    """Curves over the steps of a run, as SVG."""
    finite = [(a, b) for line in lines for a, b in zip(line.x, line.y, strict=True) if math.isfinite(a + b)]
    if not finite:
        return "<p class='q'>There is nothing to draw yet.</p>"
    low_x, high_x = min(a for a, _ in finite), max(a for a, _ in finite)
    low_y, high_y = min(0.0, *(b for _, b in finite)), max(b for _, b in finite)
    wide = (WIDTH - _LEFT - _RIGHT) / max(high_x - low_x, 1e-9)
    tall = (HEIGHT - _TOP - _BOTTOM) / max(high_y - low_y, 1e-12)

    def place(a: float, b: float) -> tuple[float, float]:
        return _LEFT + (a - low_x) * wide, HEIGHT - _BOTTOM - (b - low_y) * tall

    parts = [
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT + 20 * len(lines)}' role='img' aria-label='{escape(y_title)}' "
        "xmlns='http://www.w3.org/2000/svg' font-family='sans-serif' font-size='12'>"
    ]
    for value in ticks(low_y, high_y):
        y = place(low_x, value)[1]
        parts.append(
            f"<line x1='{_LEFT}' x2='{WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#dfe3ea'/>"
            f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end' fill='#5b6577'>{value:g}</text>"
        )
    for value in ticks(low_x, high_x):
        x = place(value, low_y)[0]
        parts.append(
            f"<text x='{x:.1f}' y='{HEIGHT - 18}' text-anchor='middle' fill='#5b6577'>{value:,.0f}</text>"
        )
    parts.append(
        f"<text x='{(WIDTH + _LEFT) / 2}' y='{HEIGHT - 3}' text-anchor='middle' fill='#5b6577'>step</text>"
        f"<text x='14' y='{HEIGHT / 2}' text-anchor='middle' fill='#5b6577' "
        f"transform='rotate(-90 14 {HEIGHT / 2})'>{escape(y_title)}</text>"
    )
    for n, line in enumerate(lines):
        color = COLORS[n % len(COLORS)]
        for piece in _pieces(line):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(*point) for point in piece))
            parts.append(f"<polyline points='{points}' fill='none' stroke='{color}' stroke-width='1.5'/>")
        y = HEIGHT + 20 * n + 12
        parts.append(
            f"<line x1='{_LEFT}' x2='{_LEFT + 24}' y1='{y - 4}' y2='{y - 4}' stroke='{color}' "
            f"stroke-width='3'/><text x='{_LEFT + 32}' y='{y}'>{escape(line.name)}</text>"
        )
    return "".join(parts) + "</svg>"


def _pieces(line: Line) -> list[list[tuple[float, float]]]:
    """The runs of finite points of a curve, thinned."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(line.x, line.y, strict=True):
        if math.isfinite(a + b):
            pieces[-1].append((a, b))
        elif pieces[-1]:
            pieces.append([])
    return [thinned(piece, _MOST) for piece in pieces if piece]


def thinned(points: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most about so many points: the lowest and the highest of each of `most` / 2 equal pieces.

    >>> thinned([(0, 1), (1, 9), (2, 0), (3, 5), (4, 5), (5, 5), (6, 7), (7, 2)], 4)
    [(1, 9), (2, 0), (6, 7), (7, 2)]
    """
    if len(points) <= most:
        return points
    made = []
    count = max(1, most // 2)
    for n in range(count):
        part = points[n * len(points) // count : (n + 1) * len(points) // count]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        made += sorted(ends)
    return made


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two others, in steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 7.6)
    [0.0, 2.0, 4.0, 6.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]
