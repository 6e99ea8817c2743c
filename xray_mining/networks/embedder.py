"""A frozen network, and vectors pooled from its feature maps."""

from typing import TYPE_CHECKING, Any

import numpy as np

from xray_mining.errors import UserError
from xray_mining.networks.options import EmbeddingOptions
from xray_mining.sets.instrument import Column

if TYPE_CHECKING:
    import torch

    from xray_mining.networks.backbones import Backbone

Array = np.ndarray[Any, Any]


class Embedder:
    """A loaded network with the options of pooling."""

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
