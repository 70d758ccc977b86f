"""The lineage bar: corpus → tokenizer → base → SFT → rankings → aligned → quantized, as far as it exists."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from core.artifacts import CHAIN, Artifact
from labapp.widgets.parts import label
from labapp.widgets.prose import plain_tooltip
from labapp.words import tr

TITLES = {
    "corpus": "Corpus", "tokenizer": "Tokenizer", "base": "Base", "sft": "SFT", "preferences": "Rankings",
    "aligned": "Aligned", "quantized": "Quantized",
}  # fmt: skip


class LineageBar(QWidget):
    """One button a stage; a stage without an artifact is dashed."""

    chosen = Signal(str)  # id of an artifact

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lineage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(tr("The chain from corpus to quantized model"))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 5, 12, 5)
        row.setSpacing(6)
        self._buttons: dict[str, QPushButton] = {}
        self._ids: dict[str, str] = {}
        for i, stage in enumerate(CHAIN):
            if i:
                row.addWidget(label("›", "secondary"))
            made = QPushButton()
            made.setObjectName("stage")
            made.clicked.connect(lambda _=False, stage=stage: self.chosen.emit(self._ids[stage]))
            row.addWidget(made)
            self._buttons[stage] = made
        row.addStretch(1)
        self.show_chain({})

    def show_chain(self, chain: dict[str, Artifact]) -> None:
        """Show which artifact stands for each stage."""
        self._ids = {stage: artifact.id for stage, artifact in chain.items()}
        for stage, made in self._buttons.items():
            title = tr(TITLES.get(stage, stage))
            artifact = chain.get(stage)
            made.setEnabled(artifact is not None)
            name = artifact.name if artifact else "—"
            made.setText(f"{title}  {name if len(name) <= 24 else name[:22] + '…'}")
            tip = tr("Open {name}", name=name) if artifact else tr("{stage}: not made yet", stage=title)
            made.setToolTip(plain_tooltip(tip))
            made.setAccessibleName(f"{title}: {name if artifact else tr('not made yet')}")
