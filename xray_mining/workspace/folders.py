"""The workspace's folders and its settings."""

from pathlib import Path

import yaml
from pydantic import BaseModel, Field

from xray_mining.errors import CannotFinish, UserError, disk_error
from xray_mining.workspace.files import write_atomically
from xray_mining.workspace.opened import Opened
from xray_mining.workspace.yaml_files import checked, load_yaml

FORMAT_VERSION = 1
MARKER = "workspace.yaml"


class ArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """Settings of one archive in the workspace, without its path, which is private."""

    domain: str = Field(description="the id space its patient ids belong to")
    adapter: str = Field(description="the adapter that reads it")
    order: int = Field(ge=0, description="order of first ingest: earlier archives keep their copy of a duplicate")
    patient_id_rule: tuple[str, ...] = Field((), description="which spellings of a patient id its owner joins")


class WorkspaceSettings(BaseModel, extra="forbid", frozen=True):
    """The content of workspace.yaml."""

    format_version: int = FORMAT_VERSION
    store: str | None = Field(None, description="name of the pixel store that commands use by default")
    archives: dict[str, ArchiveSettings] = {}


class Workspace:
    """One folder that holds everything made from one or several archives, and a private folder beside it."""

    opened: Opened | None = None
    """Connections and stores kept open between calls after `keep_open`; without it each call opens and closes them."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def keep_open(self) -> "Workspace":
        """The same workspace; from now on connections, stores and sets stay open until `close`."""
        self.opened = self.opened or Opened()
        return self

    def refuse_closed(self) -> None:
        """UserError if the workspace was kept open and has been closed."""
        if self.opened is not None:
            self.opened.refuse_closed()

    def close(self) -> None:
        """Close what `keep_open` kept open; without `keep_open` this does nothing."""
        if self.opened is not None:
            self.opened.close()

    def __getstate__(self) -> dict[str, object]:
        # Connections and open files cannot move to another process.
        return {"root": self.root}

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """The workspace in `root`; UserError if it is missing or has another format version."""
        workspace = cls(root)
        workspace.refuse_missing(str(root))
        _ = workspace.settings
        return workspace

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """The workspace in `root`, created if missing; UserError if the folder holds other files."""
        workspace = cls(root)
        if (workspace.root / MARKER).is_file():
            return cls.open(root)
        if workspace.root.exists() and (not workspace.root.is_dir() or any(workspace.root.iterdir())):
            raise UserError(f"{root}: exists, is not empty and is not a workspace; name an empty or a new folder")
        try:
            workspace.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotFinish(
                f"{root}: the workspace cannot be made there ({error.strerror}); name another folder with --workspace, "
                f"or repair the disk or its access rights and repeat"
            ) from error
        workspace.save(WorkspaceSettings())
        return workspace

    def refuse_missing(self, shown: str = "") -> None:
        """UserError if the folder is not a workspace, or none any more.

        To be called before a lock is taken in the folder: the lock file would make a removed folder again, and ingest
        refuses a folder that is not empty and no workspace.

        Args:
            shown: The folder as the user wrote it.
        """
        if not (self.root / MARKER).is_file():
            shown = shown or str(self.root)
            raise UserError(
                f"{shown}: is not a workspace (it has no {MARKER}); make one with `xray-mining ingest ARCHIVE "
                f"--workspace {shown}`, or name another with --workspace"
            )

    @property
    def settings(self) -> WorkspaceSettings:
        """The present content of workspace.yaml."""
        path = self.root / MARKER
        raw = load_yaml(path)
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise UserError(
                f"{path}: the workspace has format version {version}, this xray-mining reads {FORMAT_VERSION}; "
                f"use the version that made it, or ingest into a new workspace"
            )
        return checked(WorkspaceSettings, raw, str(path))

    def save(self, settings: WorkspaceSettings) -> None:
        """Replace workspace.yaml atomically."""
        text = yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)
        with write_atomically(self.root / MARKER) as scratch:
            scratch.write_text(text, encoding="utf-8")

    def archives_in_order(self) -> list[str]:
        """Names of the archives in the order of their first ingest, in which the copies of an image are settled."""
        archives = self.settings.archives
        return sorted(archives, key=lambda name: archives[name].order)

    def private_archives(self) -> list[str]:
        """Archives whose domain has a key of its own: all except public sets."""
        keys = self.private / "keys"
        archives = self.settings.archives.items()
        return sorted(name for name, each in archives if (keys / f"{each.domain}.key").is_file())

    @property
    def private(self) -> Path:
        """The folder beside the workspace, mode 700, for keys, paths, logs and real command lines."""
        folder = self.root.with_name(self.root.name + ".private")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        return folder

    @property
    def catalog(self) -> Path:
        """DuckDB file with what the archives hold."""
        return self.root / "catalog.duckdb"

    @property
    def results(self) -> Path:
        """DuckDB file with cohorts, predictions, estimates and checks."""
        return self.root / "results.duckdb"

    def parts(self, archive: str, table: str) -> Path:
        """Folder of an archive's parts of one record: one Parquet file a shard, named 00017.parquet."""
        return self.root / "parts" / archive / table

    def store(self, name: str) -> Path:
        """Folder of a pixel store's raw shards."""
        return self.root / "pixels" / name

    def cohort(self, name: str, digest: str) -> Path:
        """Folder of one frozen cohort."""
        return self.root / "cohorts" / name / digest

    def measured(self, kind: str, set_name: str = "") -> Path:
        """Folder of a set of this kind (features, embeddings, …), or of all its sets."""
        return self.root / kind / set_name

    def experiment(self, study: str, name: str) -> Path:
        """Folder of one experiment: its options, models and predictions/*.parquet."""
        return self.root / "experiments" / study / name

    def evaluation(self, study: str) -> Path:
        """Folder of a study's estimates, check results and pictures."""
        return self.root / "evaluations" / study

    def report(self, study: str) -> Path:
        """The study's HTML page."""
        return self.root / "reports" / f"{study}.html"

    @property
    def ledger(self) -> Path:
        """Folder of the ledger's parts, one a run of a stage."""
        return self.root / "ledger"
