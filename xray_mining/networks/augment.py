"""Random changes of training images; the only module that uses albumentations."""

from typing import Any
from uuid import UUID

import numpy as np

from xray_mining.networks.options import AugmentOptions
from xray_mining.process_settings import Shared, environment

_NO_UPDATE = Shared(lambda: environment({"NO_ALBUMENTATIONS_UPDATE": "1"}))


def rng_for(seed: int, epoch: int, image_key: str) -> np.random.Generator:
    """Random generator for one image in one epoch; the same in any worker, rank or restart."""
    return np.random.default_rng([seed % 2**32, epoch, UUID(image_key).int])


class Augmenter:
    """Changes one image at a time; the random numbers depend on (seed, epoch, image_key) only."""

    def __init__(self, options: AugmentOptions, seed: int) -> None:
        self.seed = seed
        self._compose = _compose(options)

    def __call__(self, image: np.ndarray, epoch: int, image_key: str) -> np.ndarray:
        """(side, side) uint8 → (side, side) uint8; the same image if all changes are switched off."""
        if self._compose is None:
            return image
        self._compose.set_random_seed(int(rng_for(self.seed, epoch, image_key).integers(2**31)))
        return self._compose(image=image[:, :, None])["image"][:, :, 0]


def _compose(options: AugmentOptions) -> Any:
    """The enabled changes in a fixed order, or None."""
    import cv2

    # Without this variable albumentations looks for a newer version on the internet when it is imported.
    with _NO_UPDATE:
        import albumentations as changes

    chosen: list[Any] = []
    if options.flip_probability:
        chosen.append(changes.HorizontalFlip(p=options.flip_probability))
    if options.rotate_degrees or options.shift_fraction or options.scale_fraction:
        chosen.append(
            changes.Affine(
                rotate=(-options.rotate_degrees, options.rotate_degrees),
                translate_percent=(-options.shift_fraction, options.shift_fraction),
                scale=(1 - options.scale_fraction, 1 + options.scale_fraction),
                interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_CONSTANT,
                fill=0,
                keep_ratio=True,
                p=1.0,
            )
        )
    if options.brightness or options.contrast:
        chosen.append(
            changes.RandomBrightnessContrast(
                brightness_limit=(-options.brightness, options.brightness),
                contrast_limit=(-options.contrast, options.contrast),
                p=1.0,
            )
        )
    if options.gamma:
        percent = 100 * options.gamma
        chosen.append(changes.RandomGamma(gamma_limit=(100 - percent, 100 + percent), p=1.0))
    if options.blur_probability:
        chosen.append(changes.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.0), p=options.blur_probability))
    if options.noise_sigma:
        chosen.append(changes.GaussNoise(std_range=(0.0, options.noise_sigma), p=1.0))
    if options.erase_probability:
        chosen.append(
            changes.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=(0.08, 0.25),
                hole_width_range=(0.08, 0.25),
                fill=0,
                p=options.erase_probability,
            )
        )
    return changes.Compose(chosen, save_applied_params=False) if chosen else None
