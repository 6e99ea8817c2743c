"""Sets of vectors of a frozen network."""

from typing import TYPE_CHECKING

from xray_mining.models.work import PROCESS_SECONDS, TORCH_SECONDS, Work, seconds_to_embed
from xray_mining.networks.options import EmbeddingOptions
from xray_mining.study.instruments._kind import InstrumentKind

if TYPE_CHECKING:
    from xray_mining.models.embedding import Embeddings


class EmbeddingsKind(InstrumentKind[EmbeddingOptions]):
    """The section `embeddings`."""

    stage = "embed"
    options = EmbeddingOptions
    default = "embedding"

    def make(self, options: EmbeddingOptions) -> "Embeddings":
        """The instrument of its network. Raises UserError if the weights are missing."""
        from xray_mining.models.embedding import Embeddings

        return Embeddings(options)

    def work(self, options: EmbeddingOptions, images: int, *, gpu: bool) -> Work:
        """By the backbone and the size of pictures."""
        seconds = PROCESS_SECONDS + TORCH_SECONDS + images * seconds_to_embed(options, gpu)
        return Work(f"embed {options.backbone}", seconds)

    def refuse(self, options: EmbeddingOptions) -> None:
        """UserError for an unknown backbone."""
        from xray_mining.networks.names import refuse_unknown_backbone

        refuse_unknown_backbone(options.backbone)

    def missing(self, options: EmbeddingOptions) -> str:
        """Whether the package with the weights is not installed."""
        from xray_mining.networks.weights import missing_package

        return missing_package(options.backbone, options.weights)


KIND = EmbeddingsKind()
