"""The workspace: its folders, files that are written whole or not at all, digests, locks and assets."""

import errno
import fcntl
import hashlib
import json
import os
import re
import struct
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from xray_mining.errors import CannotFinish, UserError, disk_error, unknown_name

if TYPE_CHECKING:
    import polars as pl

Model = TypeVar("Model", bound=BaseModel)

FORMAT_VERSION = 1
MARKER = "workspace.yaml"
# A lock that others hold for a moment only is not worth a word.
_PATIENCE_S = 1.0

# The packages whose versions can change a number; the ledger keeps them.
_VERSIONED = (
    "xray-mining",
    "numpy",
    "polars",
    "duckdb",
    "pydicom",
    "imagecodecs",
    "opencv-python-headless",
    "scikit-learn",
    "scipy",
    "numba",
    "torch",
    "torchvision",
    "timm",
    "pytorch-lightning",
    "albumentations",
    "matplotlib",
)


class ArchiveSettings(BaseModel, extra="forbid", frozen=True):
    """What the workspace remembers of one archive; never its path, which is private."""

    domain: str = Field(description="the id space its patient ids belong to")
    adapter: str = Field(description="the adapter that reads it")
    order: int = Field(ge=0, description="order of first ingest: earlier archives keep their copy of a duplicate")
    patient_id_rule: tuple[str, ...] = Field((), description="which ways to write a patient id are one, by its owner")


class WorkspaceSettings(BaseModel, extra="forbid", frozen=True):
    """The content of workspace.yaml."""

    format_version: int = FORMAT_VERSION
    store: str | None = Field(None, description="name of the pixel store that commands use unless told otherwise")
    archives: dict[str, ArchiveSettings] = {}


class Workspace:
    """One folder that holds everything made from one or several archives, and a private folder beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """The workspace in `root`; UserError where there is none or it is of another format."""
        workspace = cls(root)
        if not (workspace.root / MARKER).is_file():
            raise UserError(
                f"{root}: is not a workspace (it has no {MARKER}); make one with `xray-mining ingest ARCHIVE "
                f"--workspace {root}`, or name another with --workspace"
            )
        _ = workspace.settings
        return workspace

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """The workspace in `root`, made where there is none; UserError where the folder holds something else."""
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
                f"or mend the disk or its rights and repeat"
            ) from error
        workspace.save(WorkspaceSettings())
        return workspace

    @property
    def settings(self) -> WorkspaceSettings:
        """workspace.yaml as it stands now."""
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
        """Replace workspace.yaml, whole or not at all."""
        text = yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)
        with write_atomically(self.root / MARKER) as scratch:
            scratch.write_text(text, encoding="utf-8")

    def private_archives(self) -> list[str]:
        """Archives whose domain has a key of its own, which all have but public sets."""
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

    def features(self, set_name: str) -> Path:
        """Folder of a feature set: set.json and Parquet parts."""
        return self.root / "features" / set_name

    def embeddings(self, set_name: str) -> Path:
        """Folder of an embedding set: set.json and Parquet parts."""
        return self.root / "embeddings" / set_name

    def masks(self, set_name: str) -> Path:
        """Folder of a set of computed masks (reference masks are parts of their archive)."""
        return self.root / "masks" / set_name

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


def checked(model: type[Model], raw: object, where: str) -> Model:
    """`raw` as `model`; UserError that names the first wrong key, its value and the nearest known key."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{where}: {sentence_of(error, model)}") from error


def sentence_of(error: ValidationError, model: type[BaseModel]) -> str:
    """The first complaint of pydantic as one sentence with the key's full name."""
    import difflib

    # A misspelt key often makes a needed one missing: the misspelt one is the news.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(str(step) for step in first["loc"])
    if not first["loc"] and first["type"] in ("model_type", "model_attributes_type", "dict_type"):
        found = "nothing" if first["input"] is None else f"a {type(first['input']).__name__}"
        return f"holds {found} where keys with values are needed; write lines like 'key: value'"
    if first["type"] == "extra_forbidden":
        known = _keys_beside(model, first["loc"])
        wrong = str(first["loc"][-1])
        close = difflib.get_close_matches(wrong, known, n=1) or difflib.get_close_matches(
            wrong, sorted(_field_names(model)), n=1
        )
        meant = f"; did you mean '{close[0]}'?" if close else ""
        return f"'{key}' is not a known key{meant}" + (f" (known here: {', '.join(known)})" if known else "")
    if first["type"] == "missing":
        return f"'{key}' is missing; it must be given"
    if first["type"] == "union_tag_invalid":
        tag, known = first["ctx"]["tag"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"'{key}': {unknown_name(first['ctx']['discriminator'].strip(chr(39)), tag, known)}"
    if first["type"] == "string_pattern_mismatch":
        return f"'{key}': {first['input']!r} is not possible; use small letters, digits and underscores, a letter first"
    if first["type"] == "string_type" and isinstance(first["input"], bool | int | float | date):
        return f"'{key}': YAML reads this as {first['input']!r}, not as text; put it in quotes"
    message = first["msg"].removeprefix("Value error, ")
    # A whole section of the file would bury the sentence, and may hold what is nobody's business.
    found = "" if isinstance(first["input"], (dict, list, BaseModel)) else f" (found {first['input']!r})"
    # Without a key the sentence is about several of them and names them itself.
    return f"'{key}': {message[0].lower()}{message[1:]}{found}" if key else f"{message}{found}"


def _field_names(model: type[BaseModel], seen: frozenset[type] = frozenset()) -> Iterator[str]:
    from typing import get_args

    if model in seen:
        return
    for name, field in model.model_fields.items():
        yield name
        waiting: list[Any] = [field.annotation]
        while waiting:
            annotation = waiting.pop()
            waiting.extend(get_args(annotation))
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _field_names(annotation, seen | {model})


def _keys_beside(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where the key at the end of `place` was found."""
    from typing import get_args

    here: list[type[BaseModel]] = [model]
    for step in place[:-1]:
        fields = [each.model_fields[str(step)].annotation for each in here if str(step) in each.model_fields]
        if fields:
            here = [found for annotation in fields for found in _models_in(annotation)]
            continue
        # An index or a given name changes nothing; the tag of a union tells which of its models is meant.
        tagged = [
            each for each in here if any(step in get_args(field.annotation) for field in each.model_fields.values())
        ]
        here = tagged or here
    return sorted({name for each in here for name in each.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in get_args(annotation) for found in _models_in(each)]


class _StandsTwice(yaml.YAMLError):
    """A key of a mapping that is given again: YAML would drop the first."""

    def __init__(self, key: str, lines: tuple[int, int]) -> None:
        super().__init__(key)
        self.key = key
        self.lines = lines


class _YamlLoader(yaml.SafeLoader):
    """Keys are text as they are written (yes, no and 1 too), and none may stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            key.tag = "tag:yaml.org,2002:str"
            line = key.start_mark.line + 1
            if key.value in first_lines:
                raise _StandsTwice(key.value, (first_lines[key.value], line))
            first_lines[key.value] = line
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """A text file that somebody wrote: UTF-8, or UTF-16 with its byte order mark; UserError for another encoding."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    marked = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return raw.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}: is not in the encoding {'UTF-16' if marked else 'UTF-8'} (see line {line}); save it as UTF-8"
        ) from error


def load_yaml(path: Path) -> Any:
    """What a YAML file holds; UserError that names the file, and the key or line where it is wrong.

    All YAML files are read by this: mappings, studies, the workspace's own settings.
    """
    try:
        # Given as bytes, so that a byte order mark tells the encoding, as YAML has it.
        return yaml.load(path.read_bytes(), _YamlLoader)
    except FileNotFoundError as error:
        raise UserError(f"{path}: is not there; check its name and its folder") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except _StandsTwice as error:
        first, second = error.lines
        where = f"line {first}" if first == second else f"lines {first} and {second}"
        raise UserError(
            f"{path}: the key '{error.key}' stands twice ({where}), and one would be dropped; keep one of them"
        ) from error
    except (yaml.reader.ReaderError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not text in UTF-8; save it in that encoding") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        at = f" near line {line + 1}" if line is not None else ""
        raise UserError(f"{path}: is not valid YAML{at}; mend its indentation and quotes") from error


def read_yaml(model: type[Model], path: Path) -> Model:
    """A YAML file as `model`; UserError that names the file and the key where it is wrong."""
    return checked(model, load_yaml(path), str(path))


def move_durably(source: Path, target: Path) -> None:
    """Rename a file over `target`, and have the disk know of it before anything that comes after."""
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def write_atomically(target: Path) -> Generator[Path]:
    """A scratch path to write to; synced and renamed over `target` when the block ends well, removed when not.

    Raises CannotFinish where the disk refuses, so that what was there before stays as it was.
    """
    scratch = scratch_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        move_durably(scratch, target)
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        scratch.unlink(missing_ok=True)


def write_frame(frame: "pl.DataFrame", target: Path, group_rows: int | None = None) -> None:
    """Write a polars frame as one Parquet part, whole or not at all; in groups of so many rows, if that is said."""
    import polars as pl

    with write_atomically(target) as scratch:
        try:
            frame.write_parquet(scratch, compression="zstd", row_group_size=group_rows)
        except pl.exceptions.ComputeError as error:
            # polars names the system's error in words only.
            code = re.search(r"os error (\d+)", str(error))
            if code is not None:
                raise OSError(int(code[1]), os.strerror(int(code[1]))) from error
            # A disk that is full at the file's very end is an error of the format in polars' words: the same bytes,
            # written by Python, tell what it is.
            whole = BytesIO()
            frame.write_parquet(whole, compression="zstd", row_group_size=group_rows)
            scratch.write_bytes(whole.getbuffer())


def write_json(value: object, target: Path) -> None:
    """Write a JSON file with sorted keys, whole or not at all."""
    with write_atomically(target) as scratch:
        scratch.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def scratch_of(target: Path) -> Path:
    """Where this process writes before it renames over `target`: named by a digest of its machine and its number."""
    return target.with_name(f".{target.name}.{_machine()}.{os.getpid()}.partial")


def _machine() -> str:
    # A digest: the machine's name is nobody's business where a killed run leaves the file.
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def sweep(folder: Path) -> None:
    """Remove scratch files that a killed run of this machine left in `folder`; another machine's may be in use."""
    for scratch in folder.rglob(f".*.{_machine()}.*.partial"):
        process = scratch.name.split(".")[-2]
        if not (process.isdigit() and Path(f"/proc/{process}").exists()):
            scratch.unlink(missing_ok=True)


@contextmanager
def lock(path: Path, wait: bool = True, alive: Callable[[], None] | None = None) -> Generator[int]:
    """Hold the advisory lock `path` while the block runs; CannotFinish where another holds it and `wait` is False.

    A wait that lasts says so on standard error, and calls `alive` again and again.
    Gives the file descriptor: a child that inherits it holds the lock for as long as it lives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = path.open("w")
    except OSError as error:
        raise disk_error(error, path) from error
    with handle:
        if not _taken(handle, path) and not (wait and _taken(handle, path, _PATIENCE_S)):
            if not wait:
                raise CannotFinish(f"{path.name}: another command holds this lock; wait for it and repeat")
            print(f"{path.name}: another command holds this lock; waiting for it", file=sys.stderr, flush=True)
            if alive is None:
                fcntl.flock(handle, fcntl.LOCK_EX)
            else:
                alive()
                while not _taken(handle, path, _PATIENCE_S):
                    alive()
        yield handle.fileno()


_ALL = 1 << 40
_OWNER = struct.Struct("@hhqqi4x")
"""Linux's struct flock: type, whence, start, length, process."""


@contextmanager
def lock_slices(path: Path, slices: tuple[int, int] | None, what: str) -> Generator[None]:
    """Hold slices of work (from the first up to the last, None for all) while the block runs, and no others.

    Waits where another process holds one of them, and says so on standard error: `what` (process N). The lock is the
    process's own: it goes with it, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    first, last = slices or (0, _ALL)
    # a length of 0 would mean all that follow
    last = max(last, first + 1)
    try:
        handle = path.open("a")
    except OSError as error:
        raise disk_error(error, path) from error
    with handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, last - first, first)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise disk_error(error, path) from error
            print(f"{what}{_owner(handle, first, last)}; waiting until it has ended", file=sys.stderr, flush=True)
            fcntl.lockf(handle, fcntl.LOCK_EX, last - first, first)
        yield


def _owner(handle: IO[str], first: int, last: int) -> str:
    """Which process holds the slices, as " (process 123)"; empty where the system does not tell."""
    asked = _OWNER.pack(fcntl.F_WRLCK, os.SEEK_SET, first, last - first, 0)
    try:
        kind, _, _, _, process = _OWNER.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, asked))
    except (OSError, struct.error):
        return ""
    return f" (process {process})" if kind != fcntl.F_UNLCK and process > 0 else ""


def _taken(handle: IO[str], path: Path, patience_s: float = 0.0) -> bool:
    """Whether the lock could be had, tried again and again for `patience_s` seconds."""
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise disk_error(error, path) from error
        else:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)


def digest_of(value: object) -> str:
    """32 hexadecimal digits of SHA-256 over the canonical JSON of `value` (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of_frame(frame: "pl.DataFrame") -> str:
    """32 hexadecimal digits of SHA-256 over a frame's sorted canonical values.

    Independent of row order, column order, chunking, compression and of the Parquet or polars version. Floats are
    taken as their IEEE bits, texts as UTF-8 with their lengths, nulls as a mask.
    """
    import numpy as np
    import polars as pl

    columns = sorted(frame.columns)
    ordered = frame.select(columns).sort(columns, nulls_last=True)
    total = hashlib.sha256(str(ordered.height).encode())
    for name in columns:
        series = ordered[name]
        if series.dtype in (pl.Categorical, pl.Enum):
            series = series.cast(pl.String)
        if isinstance(series.dtype, pl.List | pl.Array):
            series = series.cast(pl.List(pl.String)).list.join("\x1f")
        total.update(f"|{name}|".encode())
        total.update(np.packbits(series.is_null().to_numpy()).tobytes())
        if series.dtype == pl.String:
            filled = series.fill_null("").rechunk()
            total.update(filled.str.len_bytes().to_numpy().astype("<u4").tobytes())
            # all texts one after the other, as Arrow holds them: a list of Python's own takes three times the memory
            joined = filled.to_arrow(compat_level=pl.CompatLevel.oldest())
            _, offsets, values = joined.buffers()
            bounds = np.frombuffer(offsets, "<i8")[joined.offset : joined.offset + len(joined) + 1]
            if values is not None:
                total.update(memoryview(values)[bounds[0] : bounds[-1]])
        elif series.dtype == pl.Binary:
            for value in series.to_list():
                total.update(hashlib.sha256(value or b"").digest())
        elif series.dtype.is_float():
            total.update((series.fill_null(0.0).cast(pl.Float64).to_numpy() + 0.0).astype("<f8").tobytes())
        else:
            total.update(series.to_physical().cast(pl.Int64).fill_null(0).to_numpy().astype("<i8").tobytes())
    return total.hexdigest()[:32]


def digest_of_file(path: Path) -> str:
    """32 hexadecimal digits of SHA-256 over a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def versions() -> Mapping[str, str]:
    """Installed versions of the packages that can change a number, by name."""
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def asset(relative: str) -> Path:
    """A file that ships with the toolkit (sql/…, reports/…, pipelines/…), in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parent
    for base in (package.parent, package / "_assets"):
        if (base / relative).exists():
            return base / relative
    raise UserError(f"{relative}: does not ship with this xray-mining; check the name, or install it again")
