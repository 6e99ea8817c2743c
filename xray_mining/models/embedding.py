"""Embeddings as an instrument: vectors of a frozen network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from xray_mining.networks.embedder import Embedder
from xray_mining.networks.options import EmbeddingOptions
from xray_mining.networks.weights import find_weights
from xray_mining.sets.instrument import CannotMeasure, Column

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class _Loaded:
    """The network, loaded when the first picture is measured, because reading a set does not need it."""

    embedder: Embedder | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of a frozen network.

    Args:
        chosen: The study's options of the set.

    Raises:
        UserError: If the weights are missing.
    """

    chosen: EmbeddingOptions
    kind: ClassVar[str] = "embeddings"
    command: ClassVar[str] = "embed"
    sources: ClassVar[tuple[str, ...]] = (
        "xray_mining.networks.embedder",
        "xray_mining.networks.backbones",
        "xray_mining.networks.chance:seeded",
        "xray_mining.networks.data:resized",
        "xray_mining.networks.device:full_precision",
        "xray_mining.networks.weights:fit_in",
        "xray_mining.networks.weights:fit_in_order",
    )
    packages: ClassVar[tuple[str, ...]] = ("numpy", "opencv-python-headless", "torch", "torchvision", "timm")
    value_type: ClassVar[str] = "float32"
    one_vector: ClassVar[bool] = True
    part_images: ClassVar[int] = 256
    processes: ClassVar[bool] = False
    options: Mapping[str, Any] = field(init=False, repr=False)
    inputs: Mapping[str, str] = field(init=False, repr=False)
    licences: Mapping[str, str] = field(init=False, repr=False)
    _loaded: _Loaded = field(default_factory=_Loaded, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        chosen = self.chosen
        source = find_weights(chosen.backbone, chosen.weights, chosen.weights_licence)
        # The batch size does not change stored numbers; a weights file is identified by its digest, not its path.
        options = chosen.model_dump(mode="json", exclude={"batch_size"})
        if source.path is not None:
            options["weights"] = f"{source.kind}:{source.digest}"
        options["weights_licence"] = source.licence
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "inputs", {"weights": source.digest})
        object.__setattr__(self, "licences", {chosen.backbone: source.licence} if source.licence else {})

    @property
    def batch_images(self) -> int:
        """Number of pictures in one batch."""
        return self.chosen.batch_size

    def columns(self) -> tuple[Column, ...]:
        """Names of the pooled maps, by stage, statistic and channel; loads the network."""
        return self._embedder().columns

    def measure(self, pictures: Array, boxes: Array) -> Array:
        """(n, columns) float32.

        Raises:
            CannotMeasure: If a vector has a value that is not finite.
            CannotFinish: If a GPU has too little memory.
        """
        from xray_mining.networks.device import enough_memory

        embedder = self._embedder()
        with enough_memory(self.chosen.backbone, self.chosen.batch_size, self.chosen.side_px):
            vectors = embedder.vectors(pictures)
        if not np.isfinite(vectors).all():
            raise CannotMeasure("the network gives values that are not finite")
        return vectors

    def _embedder(self) -> Embedder:
        from xray_mining.networks.device import enough_memory

        if self._loaded.embedder is None:
            with enough_memory(self.chosen.backbone, self.chosen.batch_size, self.chosen.side_px):
                self._loaded.embedder = Embedder(self.chosen)
        return self._loaded.embedder
