"""Names of backbones and losses, checked without importing torch or timm, which takes seconds."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from xray_mining.networks import outputs


def refuse_unknown_backbone(name: str) -> None:
    """UserError if neither timm nor this package defines such a backbone."""
    # Import torch and timm only if none of their files defines the name, because timm also has generated names.
    if name.partition(".")[0] not in _defined("register_model", _timm_files()) | _defined(
        "backbone", _own("backbones")
    ):
        from xray_mining.networks.backbones import refuse_unknown

        refuse_unknown(name)


def refuse_unknown_loss(name: str) -> None:
    """UserError if there is no such loss."""
    if name != "auto" and name not in _defined("loss", _outputs()):
        from xray_mining.networks.losses import loss

        loss.find(name, also=["auto"])


@cache
def _defined(decorator: str, files: tuple[Path, ...]) -> frozenset[str]:
    """Names of the functions under a decorator, read without importing the files."""
    names = re.compile(rf"^@{decorator}\ndef (\w+)\(", re.MULTILINE)
    return frozenset(name for file in files for name in names.findall(file.read_text(encoding="utf-8")))


@cache
def _timm_files() -> tuple[Path, ...]:
    timm = find_spec("timm")
    folders = (timm.submodule_search_locations if timm else None) or []
    return tuple(file for folder in folders for file in Path(folder).glob("models/*.py"))


def _own(module: str) -> tuple[Path, ...]:
    return (Path(__file__).with_name(f"{module}.py"),)


def _outputs() -> tuple[Path, ...]:
    return tuple(file for folder in outputs.__path__ for file in sorted(Path(folder).glob("*.py")))
