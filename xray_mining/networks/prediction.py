"""Save and load a trained network as one file, and predict pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xray_mining.errors import UserError
from xray_mining.networks.data import PlainBatches, Radiographs, loader, resized
from xray_mining.networks.heads import Range, make_head
from xray_mining.networks.module import Network
from xray_mining.networks.options import TrainingOptions
from xray_mining.records.cohort import Target
from xray_mining.workspace import write_atomically

MODEL_FORMAT = 1


def predict_dataset(
    network: Network,
    dataset: Radiographs,
    batch_size: int,
    device: torch.device,
    *,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows (n,) of this rank, their values (n,) or (n, classes), and spread (n,) or None."""
    was_training = network.training
    rows, values, spreads = [], [], []
    for batch in loader(dataset, PlainBatches(len(dataset), batch_size, rank, ranks), workers):
        value, spread = network.predict(batch.images.to(device))
        rows.append(batch.rows.numpy())
        values.append(value)
        spreads.append(spread)
    network.train(was_training)
    if not rows:
        return np.empty(0, np.int64), np.empty(0), None
    known = [each for each in spreads if each is not None]
    return np.concatenate(rows), np.concatenate(values), np.concatenate(known) if known else None


@dataclass(frozen=True, slots=True)
class SavedModel:
    """One model file of a finished experiment."""

    network: Network
    facts: Mapping[str, Any]
    """Saved facts: options, target, range, store, licence, versions, course."""

    @property
    def target(self) -> Target:
        """The target that it predicts."""
        return _target(self.facts["target"])

    @property
    def options(self) -> TrainingOptions:
        """Options of its training."""
        return TrainingOptions.of(self.facts["options"])

    def predict(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, side, side) uint8 or uint16 as in the pixel store → values and spread, as Network.predict."""
        small = resized(pictures, self.options.side_px)
        device = next(self.network.parameters()).device
        values, spreads = [], []
        for at in range(0, len(small), self.options.batch_size):
            images = torch.from_numpy(small[at : at + self.options.batch_size, None])
            value, spread = self.network.predict(images.to(device))
            values.append(value)
            spreads.append(spread)
        known = [each for each in spreads if each is not None]
        return np.concatenate(values), np.concatenate(known) if known else None


def _target(raw: Mapping[str, Any]) -> Target:
    return Target(
        raw["name"], raw["kind"], raw["unit"], raw["positive"], tuple(raw["classes"]), policy=raw.get("policy", "")
    )


def save_model(path: Path, network: Network, facts: Mapping[str, Any]) -> None:
    """Write a model file, whole or not at all."""
    save_tensors(path, {"format": MODEL_FORMAT, **facts, "state": network.state_dict()})


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file for torch.load, whole or not at all; CannotFinish if the disk is full or read-only.

    torch gets an open file, because with a path it turns a full disk into a RuntimeError without the reason.
    """
    with write_atomically(path) as scratch, scratch.open("wb") as file:
        torch.save(dict(content), file)


def load_model(path: Path) -> SavedModel:
    """Read a model file without running code from it; UserError if it is not a model file or has another format."""
    from xray_mining.networks.backbones import load_backbone
    from xray_mining.networks.weights import fit_in

    try:
        facts = torch.load(path, map_location="cpu", weights_only=True)
        version, state = facts.pop("format"), facts.pop("state")
    except Exception as error:
        raise UserError(
            f"{path.name}: is not a model file that can be read ({type(error).__name__}); train its experiment again"
        ) from error
    if version != MODEL_FORMAT:
        raise UserError(f"{path.name}: has format {version}, this xray-mining reads {MODEL_FORMAT}; train it again")
    options = TrainingOptions.of(facts["options"])
    target = _target(facts["target"])
    backbone = load_backbone(options.backbone, "none", "", options.side_px, channels=facts["channels"])
    head = make_head(facts["head"], backbone.width, target, Range(**facts["known"]))
    network = Network(backbone, head, options.dropout)
    fit_in(network, state, path.name)
    return SavedModel(network.eval(), facts)
