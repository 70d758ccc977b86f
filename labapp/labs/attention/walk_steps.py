"""The steps of the formula: a picture for each, and two sentences with its numbers in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from labapp.labs.attention.cells import number
from labapp.labs.attention.products import MatrixProduct, TermBars
from labapp.labs.attention.token_bars import SignedBars, ValueStrips
from labapp.widgets.formula import Term
from labapp.widgets.parts import card, label
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.walk import Projected, RowWorked, Walk

ROWS = 14  # tokens in a picture
Taken = tuple[bool, bool, bool]
"""Whether scaling, mask and softmax are taken."""


class StepView(QWidget):
    """The picture of one step; `title` and `says` are set by `show_walk`."""

    token_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.title, self.says = "", ""
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(8)

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        """Show the step for a pair."""
        raise NotImplementedError


class ProjectView(StepView):
    """How query, key and value are made: a vector times a matrix, three times."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[MatrixProduct] = []
        self._heads, self._captions = [], []
        for letter in "qkv":
            head, caption = label("", "heading"), label("", "small", wrap=True)
            head.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            part = MatrixProduct(tr("How {letter} is made", letter=letter))
            part.setToolTip(
                tr("Above x, in the middle the matrix, at the right what comes out; choose a row")
            )
            part.chosen.connect(lambda _: self._say())
            self.parts.append(part)
            self._heads.append(head)
            self._captions.append(caption)
            self.row.addWidget(card(head, part, caption, margin=10, spacing=4, grows=part), 1)
        self._shown: tuple[Projected, ...] = ()

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        a, b = tokens[walked.row], tokens[walked.column]
        self._shown = (walked.query, walked.key, walked.value)
        for part, head, projected, letter, name in zip(
            self.parts, self._heads, self._shown, "qkv", (a, b, b), strict=True
        ):
            head.setText(tr("{letter} of “{name}”", letter=letter, name=name))
            part.set_numbers(projected.read, projected.weight, projected.made)
        self._say()
        self.title = tr("Query, key and value")
        normed = " " + tr("Queries and keys are normed afterwards.") if walked.normed else ""
        self.says = tr(
            "Attention reads x, the normed residual stream of a token: {w:,} numbers. Each of the {d} "
            "numbers of q, k and v is x times one row of a matrix that was learned.",
            w=len(walked.query.read), d=walked.d,
        ) + normed  # fmt: skip

    def _say(self) -> None:
        for part, caption, projected, letter in zip(
            self.parts, self._captions, self._shown, "qkv", strict=False
        ):
            i = part.at
            terms = projected.weight[i] * projected.read
            total = float(terms.sum() + (0.0 if projected.bias is None else projected.bias[i]))
            largest = float(terms[np.abs(terms).argmax()])
            caption.setText(
                tr("{letter} {i}: {n:,} products, the largest {x}, in all {total}",
                   letter=letter, i=i + 1, n=len(terms), x=number(largest), total=number(total))
            )  # fmt: skip


class ProductView(StepView):
    """One dot product, term by term."""

    def __init__(self) -> None:
        super().__init__()
        self.bars = TermBars(tr("q · k, term by term"))
        self.bars.setToolTip(tr("Above q and k, below the product of each pair of numbers"))
        self._caption = label("", "secondary", wrap=True)
        self.bars.chosen.connect(lambda _: self._caption.setText(self.bars.caption()))
        self.row.addWidget(card(self.bars, self._caption, spacing=4, grows=self.bars), 1)

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        self.bars.set_numbers(walked.turned_query, walked.turned_key)
        a, b = tokens[walked.row], tokens[walked.column]
        self.title = tr("q of “{a}” · k of “{b}”", a=a, b=b)
        turned = " " + tr("Both were turned by their places first (RoPE).") if walked.turned else ""
        self.says = tr(
            "{d} products add up to {total}: numbers that agree in sign push it up.",
            d=walked.d, total=number(float(walked.terms.sum())),
        ) + turned  # fmt: skip


class BeforeAfterView(StepView):
    """One number for each token, before a step and after it."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__()
        self.before, self.after = SignedBars(before), SignedBars(after)
        self._places: list[int] = []
        for title, bars in ((before, self.before), (after, self.after)):
            bars.token_chosen.connect(lambda i: self.token_chosen.emit(self._places[i]))
            self.row.addWidget(card(label(title, "heading"), bars, margin=10, spacing=4, grows=bars), 1)

    def fill(
        self, walked: Walk, worked: RowWorked, tokens: Sequence[str], before: np.ndarray, after: np.ndarray
    ) -> None:
        """Show the tokens that matter most."""
        self._places = places = places_of(walked, worked, len(tokens))
        names = [tokens[i] for i in places]
        marked = places.index(walked.column)
        self.before.set_values(names, before[places].tolist(), marked)
        self.after.set_values(names, after[places].tolist(), marked)


class ScalingView(BeforeAfterView):
    """÷ √d."""

    def __init__(self) -> None:
        super().__init__(tr("q · k"), tr("after ÷ √d"))

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        self.fill(walked, worked, tokens, walked.products, worked.scores)
        root = math.sqrt(walked.d)
        self.title = (
            tr("÷ √{d} = ÷ {root:.3g}", d=walked.d, root=root) if taken[0] else tr("÷ √d is left out")
        )
        spread = float(walked.products[: walked.row + 1].std())
        self.says = tr(
            "The products that “{a}” sees spread by {x:.2f}, after the division by {y:.2f}: the softmax then "
            "has something to weigh.",
            a=tokens[walked.row], x=spread, y=spread / root,
        )  # fmt: skip


class MaskView(BeforeAfterView):
    """What comes later is hidden."""

    def __init__(self) -> None:
        super().__init__(tr("scores"), tr("after the mask"))

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        self.fill(walked, worked, tokens, worked.scores, worked.masked)
        later = len(tokens) - 1 - walked.row
        self.title = tr("+ M: what comes later is hidden") if taken[1] else tr("The mask is left out")
        self.says = tr(
            "“{a}” is token {i}; {n:,} come after it. The model is to predict them, so it may not see them: "
            "their scores become −∞, their weights 0.",
            a=tokens[walked.row], i=walked.row, n=later,
        )  # fmt: skip


class SoftmaxView(BeforeAfterView):
    """From scores to weights."""

    def __init__(self) -> None:
        super().__init__(tr("scores"), tr("weights"))

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        self.fill(walked, worked, tokens, worked.masked, worked.weights)
        a, b = tokens[walked.row], tokens[walked.column]
        weight, score = float(worked.weights[walked.column]), float(worked.masked[walked.column])
        if not taken[2]:
            self.title = tr("The softmax is left out")
            self.says = tr("The scores are taken as weights; they add up to {x:.2f}, not to 1.",
                           x=float(worked.weights.sum()))  # fmt: skip
            return
        self.title = tr("“{a}” looks at “{b}” with {w:.2f}", a=a, b=b, w=weight)
        self.says = tr(
            "e is raised to each score, and all are divided by their sum. The score {s:.2f} becomes {w:.3f}; "
            "a score that is larger by 1 has a weight 2.72 times as large.",
            s=score, w=weight,
        )  # fmt: skip


class ValuesView(StepView):
    """Values, as much as they weigh."""

    def __init__(self) -> None:
        super().__init__()
        self.strips = ValueStrips(tr("Values by weight, and their sum"))
        self._places: list[int] = []
        self.strips.token_chosen.connect(lambda i: self.token_chosen.emit(self._places[i]))
        self._head = label("", "heading")
        self.row.addWidget(card(self._head, self.strips, spacing=4, grows=self.strips), 1)

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        self._places = places = [i for i in places_of(walked, worked, len(tokens)) if worked.weights[i] != 0]
        marked = places.index(walked.column) if walked.column in places else None
        weights = worked.weights[places]
        names = [tokens[i] for i in places]
        self.strips.set_values(names, weights.tolist(), walked.values[places], worked.output, marked)
        self._head.setText(tr("weight × value, {d} numbers each", d=walked.d))
        self.title = tr("× V: what the head takes along")
        length = float(np.linalg.norm(worked.output))
        best = int(np.abs(worked.weights).argmax())
        self.says = tr(
            "Every value is multiplied with its weight, and all are added up. “{b}” weighs most; the sum "
            "has length {length:.2f}.",
            b=tokens[best], length=length,
        )  # fmt: skip


class ConcatView(StepView):
    """All heads side by side, times W_O."""

    def __init__(self) -> None:
        super().__init__()
        self.product = MatrixProduct(tr("All heads times W_O"))
        self.product.setToolTip(tr("Above all heads side by side, in the middle W_O, at the right the sum"))
        self._head, self._caption = label("", "heading"), label("", "small", wrap=True)
        self.row.addWidget(card(self._head, self.product, self._caption, spacing=4, grows=self.product), 1)

    def show_walk(self, walked: Walk, worked: RowWorked, tokens: Sequence[str], taken: Taken) -> None:
        heads = walked.heads.copy()
        heads[walked.head] = worked.output
        result = walked.out @ heads.ravel()
        result = result if walked.bias is None else result + walked.bias
        block = (walked.head * walked.d, (walked.head + 1) * walked.d)
        self.product.set_numbers(heads.ravel(), walked.out, result, block)
        part = walked.out[:, block[0] : block[1]] @ worked.output
        self._head.setText(tr("{n} heads × {d} numbers, times W_O", n=len(heads), d=walked.d))
        self._caption.setText(tr("Framed: head {h}, and the columns of W_O that read it.", h=walked.head))
        self.title = tr("Concat and project")
        self.says = tr(
            "The {n} heads of layer {layer} stand side by side and are multiplied with W_O; that is added to "
            "the stream of “{a}”. This head's part has length {x:.2f}, all heads together {y:.2f}.",
            n=len(heads), layer=walked.layer, a=tokens[walked.row],
            x=float(np.linalg.norm(part)), y=float(np.linalg.norm(result)),
        )  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step: its name, what it is called, and its picture."""

    name: str
    title: str
    make: Callable[[], StepView]


STEPS = (
    Step("project", "Embedding → q, k, v", ProjectView),
    Step("product", "q · k", ProductView),
    Step("scaling", "÷ √d", ScalingView),
    Step("mask", "+ mask", MaskView),
    Step("softmax", "softmax", SoftmaxView),
    Step("values", "× V", ValuesView),
    Step("concat", "Concat, × W_O", ConcatView),
)


def places_of(walked: Walk, worked: RowWorked, tokens: int) -> list[int]:
    """The tokens that are shown: all of a short text; else the pair and those of the largest weights."""
    if tokens <= ROWS:
        return list(range(tokens))
    best = np.argsort(-np.abs(worked.weights), kind="stable")[: ROWS - 2].tolist()
    return sorted({walked.row, walked.column, *best})


def terms_of(scaling: bool, mask: bool, softmax: bool) -> list[Term]:
    """The formula; what is left out is faded."""
    return [
        Term(r"Q,K,V = x\,W_{Q,K,V}", "project", tr("How queries, keys and values are made")),
        Term(r"\quad"),
        Term(r"\mathrm{Concat}", "concat", tr("All heads side by side, times W_O")),
        Term(r"\Bigl("),
        Term(r"\mathrm{softmax}", "softmax", tr("From scores to weights"), not softmax),
        Term(r"\bigl(", faded=not softmax),
        Term(r"QK^{\top}", "product", tr("Every query times every key")),
        Term(r"/\sqrt{d}", "scaling", tr("Divided by the root of d"), not scaling),
        Term("+M", "mask", tr("What comes later is hidden"), not mask),
        Term(r"\bigr)", faded=not softmax),
        Term("V", "values", tr("The values, added up by weight")),
        Term(r"\Bigr)"),
        Term("W_O", "concat", tr("All heads side by side, times W_O")),
    ]
