"""Backbones: any timm network by name and torchvision's GoogLeNet, from grey batches to features."""

import contextlib
import logging
import socket
import sys
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from xray_mining.errors import UserError
from xray_mining.networks.chance import seeded
from xray_mining.networks.registry import backbone
from xray_mining.networks.weights import (
    PACKAGES,
    WeightsSource,
    digest_of_state,
    find_weights,
    fit_in,
    fit_in_order,
    read_state,
)
from xray_mining.process_settings import Shared, attribute, log_level


class Network(nn.Module):
    """The network inside a backbone: pooled features and stages of a batch in the network's own channels and range."""

    model: nn.Module

    def stages(self, batch: Tensor) -> list[Tensor]:
        """(n, channels, h, w) → feature maps (n, c, h', w'), from the first stage to the last."""
        raise NotImplementedError


class TimmNetwork(Network):
    """A timm network without its classifier."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Tensor:
        """(n, channels, h, w) → pooled features (n, width)."""
        return self.model(batch)

    def stages(self, batch: Tensor) -> list[Tensor]:
        """(n, channels, h, w) → feature maps (n, c, h', w'), from the first stage to the last."""
        model: Any = self.model
        if not hasattr(model, "forward_intermediates"):
            raise UserError(f"backbone {type(model).__name__}: gives no stages; leave 'stages' at [-1] or take another")
        return list(model.forward_intermediates(batch, intermediates_only=True, output_fmt="NCHW"))


class GoogLeNetNetwork(Network):
    """torchvision's GoogLeNet without classifier and side branches."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Tensor:
        """(n, 3, h, w) → pooled features (n, 1024)."""
        return self.stages(batch)[-1].mean((2, 3))

    def stages(self, batch: Tensor) -> list[Tensor]:
        """(n, 3, h, w) → five feature maps, at strides 2, 4, 8, 16, 32."""
        maps = []
        ends = {"conv1", "conv3", "inception3b", "inception4e", "inception5b"}
        for name, layer in self.model.named_children():
            if name in ("aux1", "aux2", "avgpool", "dropout", "fc"):
                continue
            batch = layer(batch)
            if name in ends:
                maps.append(batch)
        return maps


class Backbone(nn.Module):
    """From grey batches (n, 1, h, w) float32 in [0, 1] to features, by the network's own normalisation."""

    _mean: Tensor
    _std: Tensor

    def __init__(self, name: str, network: Network, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.channels = channels
        """Channels of the first convolution: a grey image is repeated to three."""
        self.mean = tuple(mean) if channels == len(mean) else (sum(mean) / len(mean),) * channels
        self.std = tuple(std) if channels == len(std) else (sum(std) / len(std),) * channels
        self.licence = ""
        """Licence of the weights; empty for random ones."""
        self.digest = ""
        """Digest of the weights as loaded."""
        self.width = 0
        """Number of pooled features."""
        self.register_buffer("_mean", torch.tensor(self.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std).view(1, -1, 1, 1), persistent=False)
        # Small networks with depthwise convolutions run faster on CPUs in this memory format.
        self.to(memory_format=torch.channels_last)

    def normalised(self, batch: Tensor) -> Tensor:
        """(n, 1, h, w) in [0, 1] → (n, channels, h, w) as the network was trained with."""
        shifted = batch.expand(-1, self.channels, -1, -1) - self._mean
        return (shifted / self._std).contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Tensor) -> Tensor:
        """(n, 1, h, w) in [0, 1] → pooled features (n, width)."""
        return self.network(self.normalised(batch))

    def stages(self, batch: Tensor) -> list[Tensor]:
        """(n, 1, h, w) in [0, 1] → the network's feature maps (n, c, h', w'), first stage to last."""
        return self.network.stages(self.normalised(batch))


@backbone
def googlenet(channels: int = 3) -> Backbone:
    """Torchvision's GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842), with batch normalisation, without side branches.

    Its ImageNet weights expect mean and standard deviation 0.5 (torchvision's `transform_input` turns the usual ones
    into these).
    """
    from torchvision.models import GoogLeNet

    if channels != 3:
        raise UserError("backbone googlenet: takes three channels; a weights file with one does not fit")
    model: Any = GoogLeNet(aux_logits=False, transform_input=False, init_weights=True)
    model.fc = nn.Identity()
    return Backbone("googlenet", GoogLeNetNetwork(model), 3, (0.5,) * 3, (0.5,) * 3)


def backbone_names() -> list[str]:
    """All names that `load_backbone` accepts: the registered ones and timm's."""
    import timm

    return [*backbone.names(), *timm.list_models()]


def refuse_unknown(name: str) -> None:
    """UserError with the nearest name if neither the toolkit nor timm has the network."""
    from timm.models import is_model

    if name not in backbone and not is_model(name.partition(".")[0]):
        raise backbone.unknown(name, backbone_names())


def load_backbone(
    name: str,
    weights: str = "none",
    licence: str = "",
    side_px: int | None = None,
    seed: int = 0,
    *,
    channels: int = 3,
) -> Backbone:
    """The named network with weights from 'none' (random, by `seed`), 'timm', 'package' or a state dict file.

    `side_px` sets the size of networks that accept one size only (vision transformers); others accept any size.
    `channels` of the first convolution are three, or as in a weights file. Raises UserError for an unknown name (with
    the nearest), for weights that are missing or do not fit, and for sizes that the network does not accept.
    """
    source = find_weights(name, weights, licence)
    state = read_state(source.path) if source.path is not None else {}
    with seeded(seed):
        if name in backbone:
            made = _registered(name, source, state)
        else:
            channels = _channels_of(state) if source.kind == "file" else channels
            made = _from_timm(name, source, state, side_px, channels)
    made.licence = source.licence or made.licence
    if source.kind == "none":
        made.licence = ""
    made.digest = digest_of_state(made.state_dict())
    made.width = _width(made, side_px)
    return made


def _registered(name: str, source: WeightsSource, state: dict[str, Tensor]) -> Backbone:
    where = f"weights {source.path.name if source.path else name}"
    made: Backbone = backbone.find(name)()
    inner: Any = made.network.model
    if source.kind == "timm":
        from torchvision.models import get_model_weights

        best: Any = next(iter(get_model_weights(name)))
        try:
            # torch prints the download address on standard output, which is reserved for the command's summary.
            with contextlib.redirect_stdout(sys.stderr):
                state = best.get_state_dict(progress=False, check_hash=True)
        except Exception as error:
            raise _not_downloaded(name, error) from error
        made.licence = "BSD-3-Clause"
    if state:
        fit_in(inner, state, where)
    return made


def _from_timm(
    name: str, source: WeightsSource, state: dict[str, Tensor], side_px: int | None, channels: int
) -> Backbone:
    import timm
    from timm.models import get_pretrained_cfg

    kind = source.kind
    refuse_unknown(name)
    plain = name.partition(".")[0]
    try:
        settings: Any = get_pretrained_cfg(name)
    except (RuntimeError, ValueError) as error:
        known = timm.list_pretrained(f"{plain}.*")
        raise UserError(f"backbone {name}: timm has no such weights; known are {', '.join(known) or 'none'}") from error
    if kind == "timm" and (settings is None or not settings.has_weights):
        raise UserError(f"backbone {name}: timm has no weights for it; use 'none' or a file")
    # Only networks with a fixed input size need the size; a package's weights are loaded with their classifier.
    extra: dict[str, Any] = {}
    if side_px is not None and settings is not None and settings.fixed_input_size:
        extra["img_size"] = side_px
    classes: dict[str, Any] = {} if kind == "package" else {"num_classes": 0}
    try:
        with _patience() if kind == "timm" else contextlib.nullcontext():
            model: Any = timm.create_model(name, pretrained=kind == "timm", in_chans=channels, **classes, **extra)
    except Exception as error:
        if kind == "timm":
            raise _not_downloaded(name, error) from error
        raise UserError(f"backbone {name}: cannot be made for {side_px} pixels a side ({_first(error)})") from error
    if kind == "package":
        fit_in_order(model, state, f"package {PACKAGES[name].name}")
        model.reset_classifier(0)
    elif state:
        fit_in(model, state, f"weights {source.path.name if source.path else name}")
    given: Any = model.pretrained_cfg
    made = Backbone(name, TimmNetwork(model), channels, given["mean"], given["std"])
    made.licence = str(given.get("license") or "not stated") if kind == "timm" else ""
    return made


@contextlib.contextmanager
def _patience() -> Generator[None]:
    """Use the hub if it can be reached; otherwise only earlier downloads, immediately and without retries."""
    from huggingface_hub import constants

    with contextlib.ExitStack() as changes:
        changes.enter_context(_QUIET_HUB)
        try:
            socket.create_connection((str(urlsplit(constants.ENDPOINT).hostname), 443), timeout=5).close()
        except OSError:
            changes.enter_context(_OFFLINE)
        yield


@contextlib.contextmanager
def _offline() -> Generator[None]:
    from huggingface_hub import constants

    with attribute(constants, "HF_HUB_OFFLINE", True):
        yield


_OFFLINE = Shared(_offline)
_QUIET_HUB = Shared(partial(log_level, "huggingface_hub", logging.CRITICAL))


def _channels_of(state: dict[str, Tensor]) -> int:
    """Input channels of the first convolution in a state dict."""
    return next((tensor.shape[1] for tensor in state.values() if tensor.ndim == 4 and tensor.shape[1] in (1, 3)), 3)


def _width(made: Backbone, side_px: int | None) -> int:
    """Number of pooled features, found with an empty image, because networks store this number under various names."""
    side = side_px
    if side is None:
        settings: Any = getattr(made.network.model, "pretrained_cfg", None)
        side = settings["input_size"][-1] if settings else 224
    was_training = made.training
    try:
        with torch.inference_mode():
            features = made.eval()(torch.zeros(1, 1, side, side))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"backbone {made.name}: cannot take images of {side} pixels a side ({_first(error)}); take another side_px"
        ) from error
    finally:
        made.train(was_training)
    if features.ndim != 2:
        raise UserError(f"backbone {made.name}: gives no pooled features; take another")
    return int(features.shape[1])


def _not_downloaded(name: str, error: Exception) -> UserError:
    return UserError(
        f"backbone {name}: its weights could not be downloaded ({type(error).__name__}); go online, or use "
        f"'package', 'none' or a file with a state dict"
    )


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
