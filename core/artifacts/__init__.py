"""The workspace: artifacts that never change, work that does, manifests, lineage, locks."""

from core.artifacts.artifact import HERE, MISSING, TRASHED, Artifact, open_artifact
from core.artifacts.draft import Draft, publish_folder
from core.artifacts.lineage import CHAIN
from core.artifacts.locks import Holder
from core.artifacts.manifest import KINDS, ROLES, FileFact, Manifest
from core.artifacts.references import Reference, refer, referring
from core.artifacts.work import Work, WorkInfo
from core.artifacts.workspace import Workspace, default_root

__all__ = [
    "CHAIN",
    "HERE",
    "KINDS",
    "MISSING",
    "ROLES",
    "TRASHED",
    "Artifact",
    "Draft",
    "FileFact",
    "Holder",
    "Manifest",
    "Reference",
    "Work",
    "WorkInfo",
    "Workspace",
    "default_root",
    "open_artifact",
    "publish_folder",
    "refer",
    "referring",
]
