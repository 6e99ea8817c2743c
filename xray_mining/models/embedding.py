"""A network that is not trained here as a measuring instrument: radiographs → vectors, kept as a set."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from xray_mining.errors import UserError
from xray_mining.features.extract import VectorSummary, in_shards
from xray_mining.features.registry import Column
from xray_mining.features.sets import VectorSet, pixel_digests, set_name
from xray_mining.models.options import EmbeddingOptions
from xray_mining.networks.weights import WeightsSource, find_weights
from xray_mining.pixels.store import PixelStore
from xray_mining.pixels.variants import changed
from xray_mining.progress import progress
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.ledger import record_run
from xray_mining.workspace import Workspace, sweep

if TYPE_CHECKING:
    import torch

    from xray_mining.networks.backbones import Backbone

Array = np.ndarray[Any, Any]

# A part is written whole: a killed run loses at most this many.
_PART_IMAGES = 256


def embed(
    workspace: Workspace,
    cohort: FrozenCohort,
    set_key: str,
    options: EmbeddingOptions,
    *,
    shards: tuple[int, int] | None = None,
) -> VectorSummary:
    """Vectors of the cohort's radiographs that the set does not hold yet; resumes after any interruption.

    `shards` (first, last + 1) takes only radiographs of these shards of their archives, for several machines.
    """
    store = PixelStore.open(workspace, cohort.store or None)
    keys = in_shards(store, cohort.members()["image_key"].to_list(), shards)
    source = find_weights(options.backbone, options.weights, options.weights_licence)
    folder = _folder(workspace, set_key, options, store.name, source)
    command = f"embed {cohort.name}" + (f" --shards {shards[0]}:{shards[1]}" if shards else "")
    told = _told(options, source)
    with record_run(workspace, "embed", f"{cohort.name}/{folder.name}", command, told) as notes:
        notes.inputs["cohort"] = cohort.digest
        notes.inputs["weights"] = source.digest
        summary = _fill(
            VectorSet(folder, "embeddings", store.name, (), told, pixel_digests(workspace)), store, keys, options
        )
        notes.outputs["set"] = folder.name
    return summary


def load(
    workspace: Workspace, set_key: str, options: EmbeddingOptions, image_keys: Sequence[str], store: str | None = None
) -> tuple[Array, list[str]]:
    """The vectors of the radiographs in the order of the keys, (n, columns) float64, and the columns' names."""
    made = embedding_set(workspace, set_key, options, store)
    return made.read(image_keys), [each.name for each in made.columns]


def changed_vectors(
    workspace: Workspace,
    set_key: str,
    options: EmbeddingOptions,
    image_keys: Sequence[str],
    *,
    store: str,
    variant: str,
) -> Array:
    """The vectors of these radiographs after a change of their pictures, (n, columns) float64; kept as a set."""
    source = find_weights(options.backbone, options.weights, options.weights_licence)
    folder = _folder(workspace, set_key, options, store, source, variant=variant)
    told = _told(options, source) | {"variant": variant}
    made = VectorSet(folder, "embeddings", store, (), told, pixel_digests(workspace))
    _fill(made, PixelStore.open(workspace, store), image_keys, options, variant)
    return _described(workspace, folder, store).read(image_keys)


def embedding_set(workspace: Workspace, set_key: str, options: EmbeddingOptions, store: str | None = None) -> VectorSet:
    """The set that these options made from this store (the workspace's current one unless told otherwise)."""
    name = store or workspace.settings.store
    if not name:
        raise UserError(f"{workspace.root.name}: holds no pictures yet; `xray-mining ingest ARCHIVE` makes them")
    folder = embedding_folder(workspace, set_key, options, name)
    try:
        return _described(workspace, folder, name)
    except FileNotFoundError as error:
        raise UserError(f"embeddings {set_key}: are not made yet; run `xray-mining embed` on the cohort") from error


def _described(workspace: Workspace, folder: Path, store: str) -> VectorSet:
    """The set in a folder by its set.json."""
    told = json.loads((folder / "set.json").read_text(encoding="utf-8"))
    columns = tuple(Column(*each) for each in zip(told["columns"], told["units"], strict=True))
    return VectorSet(folder, "embeddings", store, columns, json.loads(told["options"]), pixel_digests(workspace))


def embedding_folder(workspace: Workspace, set_key: str, options: EmbeddingOptions, store: str) -> Path:
    """Where the set of these options lies; its name hangs on options, weights and store."""
    source = find_weights(options.backbone, options.weights, options.weights_licence)
    return _folder(workspace, set_key, options, store, source)


def _folder(
    workspace: Workspace,
    set_key: str,
    options: EmbeddingOptions,
    store: str,
    source: WeightsSource,
    *,
    variant: str = "",
) -> Path:
    """`variant` says how the pictures are changed before: such pictures are a set of their own."""
    shown = _told(options, source) | ({"variant": variant} if variant else {})
    told = {"options": shown, "store": store, "version": 1}
    return workspace.embeddings(set_name(set_key, told))


def _told(options: EmbeddingOptions, source: WeightsSource) -> dict[str, Any]:
    """The options without what cannot change a number (the batch size) and without a path: its digest stands for it."""
    told = options.model_dump(mode="json", exclude={"batch_size"})
    if source.path is not None:
        told["weights"] = f"{source.kind}:{source.digest}"
    told["weights_licence"] = source.licence
    return told


def _fill(
    known: VectorSet, store: PixelStore, keys: Sequence[str], options: EmbeddingOptions, variant: str = ""
) -> VectorSummary:
    """Measure what is missing of `keys`; the columns of `known` are not known before the network is loaded."""
    started = monotonic()
    folder = known.folder
    sweep(folder)
    missing = known.missing(keys)
    kept = len(keys) - len(missing)
    if not missing and (folder / "set.json").is_file():
        columns = len(json.loads((folder / "set.json").read_text(encoding="utf-8"))["columns"])
        return VectorSummary(folder.name, "embeddings", len(keys), 0, kept, columns, monotonic() - started)
    from xray_mining.networks.device import enough_memory

    sizes = (options.backbone, options.batch_size, options.side_px)
    with enough_memory(*sizes):
        embedder = Embedder(options)
    made = replace(known, columns=embedder.columns)
    with (
        progress(len(keys), f"embeddings {made.name}", done=kept) as bar,
        enough_memory(options.backbone, options.batch_size, options.side_px),
    ):
        for first in range(0, len(missing), _PART_IMAGES):
            part = missing[first : first + _PART_IMAGES]
            vectors = []
            for start in range(0, len(part), options.batch_size):
                batch = part[start : start + options.batch_size]
                pictures = changed(store.read(batch), store.content_boxes(batch), variant)
                vectors.append(embedder.vectors(pictures))
                bar.advance(len(batch))
            made.write(part, np.concatenate(vectors))
    made.describe()
    return VectorSummary(
        made.name, "embeddings", len(keys), len(missing), kept, len(made.columns), monotonic() - started
    )


class Embedder:
    """A loaded network and which of its maps are pooled how."""

    def __init__(self, options: EmbeddingOptions) -> None:
        import torch

        from xray_mining.networks.backbones import load_backbone

        self.options = options
        side = options.side_px
        self.backbone: Backbone = load_backbone(options.backbone, options.weights, options.weights_licence, side)
        self.backbone.eval()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.backbone.to(self.device)
        names = self._names()
        self.columns = tuple(Column(name) for name in names)

    def vectors(self, pictures: Array) -> Array:
        """(n, side, side) uint8 or uint16, bright = dense → (n, columns) float32."""
        import torch

        from xray_mining.networks.data import resized
        from xray_mining.networks.device import full_precision

        small = resized(pictures, self.options.side_px)
        with torch.inference_mode(), full_precision():
            batch = torch.from_numpy(small[:, None]).to(self.device).float() / 255
            found = self._pooled(batch)
            if self.options.mirrored:
                found = (found + self._pooled(batch.flip(-1))) / 2
        return found.float().cpu().numpy()

    def _pooled(self, batch: "torch.Tensor") -> "torch.Tensor":
        import torch

        maps = self._maps(batch)
        parts = []
        for stage in self.options.stages:
            for statistic in self.options.statistics:
                if statistic == "mean":
                    parts.append(maps[stage].mean((2, 3)))
                elif statistic == "deviation":
                    parts.append(maps[stage].flatten(2).std(2, correction=0))
                else:
                    parts.append(maps[stage].amax((2, 3)))
        for stage in self.options.grid_stages if self.options.grid else []:
            cells = torch.nn.functional.adaptive_avg_pool2d(maps[stage], self.options.grid)
            parts.append(cells.flatten(2).transpose(1, 2).flatten(1))
        return torch.cat(parts, 1)

    def _maps(self, batch: "torch.Tensor") -> "list[torch.Tensor]":
        maps = self.backbone.stages(batch)
        for stage in [*self.options.stages, *self.options.grid_stages]:
            if not -len(maps) <= stage < len(maps):
                raise UserError(
                    f"embeddings, stages: {self.options.backbone} has {len(maps)} stages, -{len(maps)} to -1; "
                    f"{stage} is none of them"
                )
        return maps

    def _names(self) -> list[str]:
        import torch

        side = self.options.side_px
        with torch.inference_mode():
            maps = self._maps(torch.zeros(1, 1, side, side, device=self.device))
        names = [
            f"stage{stage}_{statistic}_{channel}"
            for stage in self.options.stages
            for statistic in self.options.statistics
            for channel in range(maps[stage].shape[1])
        ]
        cells = range(self.options.grid)
        names += [
            f"grid{stage}_{row}_{column}_{channel}"
            for stage in self.options.grid_stages
            for row in cells
            for column in cells
            for channel in range(maps[stage].shape[1])
        ]
        return names
