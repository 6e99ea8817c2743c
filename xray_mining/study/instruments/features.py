"""Sets of handcrafted features."""

from typing import TYPE_CHECKING

from xray_mining.features.options import FeatureOptions
from xray_mining.models.work import PROCESS_SECONDS, Work, seconds_to_measure
from xray_mining.study.instruments._kind import InstrumentKind

if TYPE_CHECKING:
    from xray_mining.features.instrument import Features


class FeaturesKind(InstrumentKind[FeatureOptions]):
    """The section `features`."""

    stage = "features"
    options = FeatureOptions
    default = "handcrafted"

    def make(self, options: FeatureOptions) -> "Features":
        """The instrument of its families."""
        from xray_mining.features.instrument import Features

        return Features(options)

    def work(self, options: FeatureOptions, images: int, *, gpu: bool) -> Work:
        """By the number of families and the size of pictures."""
        words = f"features {' '.join(sorted(options.families))}"
        return Work(words, PROCESS_SECONDS + 3.0 + images * seconds_to_measure(options))

    def refuse(self, options: FeatureOptions) -> None:
        """UserError for an unknown family."""
        from xray_mining.features.registry import find

        find(options.families)


KIND = FeaturesKind()
