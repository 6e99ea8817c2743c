"""From attenuation to grey values: scatter, blur, noise, tone curve, marks and shutters."""

from collections.abc import Sequence

import cv2
import numpy as np

from xray_mining.phantom import rasters
from xray_mining.phantom.acquisition import Acquisition


def develop(
    attenuation: np.ndarray, acquisition: Acquisition, spacing: float, rng: np.random.Generator, marks: Sequence[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Attenuation → the detector's signal → the maker's processed values and their window."""
    maker = acquisition.maker
    rows, columns = attenuation.shape
    primary = np.exp(-attenuation)
    small = cv2.resize(primary, (max(columns // 8, 8), max(rows // 8, 8)), interpolation=cv2.INTER_AREA)
    halo = cv2.GaussianBlur(small, (0, 0), max(24 / (spacing * 8), 0.8), borderType=cv2.BORDER_REPLICATE)
    halo = halo + 0.5 * cv2.GaussianBlur(small, (0, 0), max(70 / (spacing * 8), 0.8), borderType=cv2.BORDER_REPLICATE)
    scatter = cv2.resize(halo, (columns, rows), interpolation=cv2.INTER_LINEAR)
    signal = primary + acquisition.scatter_fraction * np.minimum(scatter, 0.4)
    signal = cv2.GaussianBlur(signal, (0, 0), max(maker.blur_mm / spacing, 0.3), borderType=cv2.BORDER_REPLICATE)
    quanta = maker.photons * acquisition.exposure_relative * spacing**2
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    signal = signal + np.sqrt(signal / quanta) * noise
    # Detector pixels are finer than the picture's; binned pixels are less blurred than single samples.
    signal = cv2.GaussianBlur(signal, (0, 0), 0.36, borderType=cv2.BORDER_REPLICATE)
    density = -np.log(np.maximum(signal, 1e-4))
    # The grey range follows the body; air beside it becomes black, as in makers' processing.
    part = (slice(rows // 10, -(rows // 10), 3), slice(None, None, 3))
    body = attenuation[part] > 1.0
    if body.sum() < 100:
        body[:] = True
    body_density = density[part][body]
    slow = cv2.resize(density, (columns // 8, rows // 8), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(slow, (0, 0), max(20 / (spacing * 8), 0.8), borderType=cv2.BORDER_REPLICATE)
    slow = cv2.resize(slow, (columns, rows), interpolation=cv2.INTER_LINEAR)
    level, least = (float(each) for each in np.percentile(body_density, (50, 5)))
    detail = density - cv2.GaussianBlur(density, (0, 0), 2.2 / spacing, borderType=cv2.BORDER_REPLICATE)
    picture = density - maker.compression * (np.maximum(slow, least - 0.5) - level) + maker.sharpening * detail
    low, high = (float(each) for each in np.percentile(picture[part][body], (1.0, 99.0)))
    scale = 0.69 / max((high - low) * acquisition.window_stretch, 1e-3)
    grey = rasters.tone(picture, low, scale, 0.195 + acquisition.window_shift, maker.gamma)
    for mark in marks:
        _burn(grey, mark)
    if acquisition.side_marker:
        _side_marker(grey, rng)
    _close_shutters(grey, acquisition, spacing)
    top = 2**maker.bits_stored - 1
    offset = 0.04 * top
    values = np.clip(np.round(offset + grey * 0.90 * top), 0, top).astype(np.uint16)
    return values, (offset + 0.45 * top, 0.90 * top)


def _side_marker(grey: np.ndarray, rng: np.random.Generator) -> None:
    """A lead letter L beside the left shoulder, or R beside the right one."""
    rows, columns = grey.shape
    chance = rng.random(4)
    letter = "L" if chance[0] < 0.7 else "R"
    column = columns * (0.90 + 0.05 * chance[1]) if letter == "L" else columns * (0.03 + 0.05 * chance[1])
    place = (int(column), int(rows * (0.06 + 0.14 * chance[2])))
    stamp = np.zeros(grey.shape, np.uint8)
    cv2.putText(stamp, letter, place, cv2.FONT_HERSHEY_SIMPLEX, rows / 512 * 0.8, 255, max(rows // 256, 1), cv2.LINE_AA)
    weight = stamp.astype(np.float32) / 255
    grey += weight * (1.0 - grey)


def _burn(grey: np.ndarray, text: str) -> None:
    """Text in the upper corner, as a lead letter or an overlay would look."""
    stamp = np.zeros(grey.shape, np.uint8)
    scale = grey.shape[0] / 512 * 0.55
    cv2.putText(stamp, text, (8, int(26 * grey.shape[0] / 512)), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, cv2.LINE_AA)
    weight = stamp.astype(np.float32) / 255
    grey += weight * (1.0 - grey)


def _close_shutters(grey: np.ndarray, acquisition: Acquisition, spacing: float) -> None:
    """Black out the area outside the collimator, as makers' processing does."""
    left, right, top, bottom = (int(each / spacing) for each in acquisition.shutter_mm)
    rows, columns = grey.shape
    grey[:, :left] = 0
    grey[:, columns - right :] = 0
    grey[:top] = 0
    grey[rows - bottom :] = 0
