"""Match rows of an outside table with images by file name."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

import polars as pl

from xray_mining.archive.cells import stated
from xray_mining.catalog.connection import connect, frame
from xray_mining.errors import UserError
from xray_mining.ingest.shards import paths_of
from xray_mining.workspace import Workspace


def by_file(workspace: Workspace, domain: str, cells: Sequence[str | None]) -> tuple[list[str | None], pl.DataFrame]:
    """Find the images that the cells name by the path or the name of their file.

    A cell may hold the whole path below the archive's folder, the last parts of the path, the file name, or the name
    without its extension; the path of a file in a package is the path within the package. An exact match is preferred
    to a match without the extension, so that `scan.png` does not match `scan.jpg` if both exist.

    Args:
        workspace: Its private folder holds the lists of files.
        domain: Only archives of this id space are searched.
        cells: The table's column, one cell for each row.

    Returns:
        A key for each cell (None for an empty cell), and the rows key, image_key, study_key, patient_key of the images
        that have these keys. A key with several images is ambiguous: it has several rows.

    Raises:
        UserError: If the private folder has no list of files for the domain's archives.
    """
    texts = [stated(cell) for cell in cells]
    wanted = {_stem(text) for text in texts if text is not None}
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    listed = 0
    for archive in sorted(name for name, each in workspace.settings.archives.items() if each.domain == domain):
        for shard, position, path, member in paths_of(workspace, archive):
            listed += 1
            file = PurePosixPath(member or path)
            # Keep only files that a cell can name, because an archive may list millions.
            if file.stem in wanted:
                places[file.stem].append((str(file), f"{archive}/{shard}/{position}"))
    if not listed:
        raise UserError(
            f"domain {domain}: the private folder beside the workspace lists no files of its archives; link by "
            f"patient_id or study_uid, or ingest the archive again"
        )
    found = {text: _places_of(text, places[_stem(text)]) for text in dict.fromkeys(texts) if text is not None}
    pairs = [(text, place) for text, own in found.items() for place in own]
    named = pl.DataFrame(pairs, schema={"key": pl.String, "place": pl.String}, orient="row")
    with connect(workspace, results=False) as con:
        images = frame(con, "select archive, shard, position, image_key, study_key, patient_key from images")
    images = images.select(
        pl.format("{}/{}/{}", "archive", "shard", "position").alias("place"),
        *(pl.col(name).cast(pl.String) for name in ("image_key", "study_key", "patient_key")),
    )
    return texts, named.join(images, on="place", how="inner", maintain_order="left").drop("place")


def _stem(text: str) -> str:
    return PurePosixPath(text.replace("\\", "/")).stem


def _places_of(text: str, files: Sequence[tuple[str, str]]) -> list[str]:
    """Places of the files that a cell names: by the end of the path, else by the same without the extension."""
    asked = PurePosixPath(text.replace("\\", "/"))
    parts = tuple(part for part in asked.parts if part not in ("/", "."))

    def same(file: PurePosixPath, last: str, own: str) -> bool:
        ends = (*file.parts[:-1], last)
        return ends[-len(parts) :] == (*parts[:-1], own)

    exact = [place for path, place in files if same(PurePosixPath(path), PurePosixPath(path).name, parts[-1])]
    return exact or [place for path, place in files if same(PurePosixPath(path), PurePosixPath(path).stem, asked.stem)]
