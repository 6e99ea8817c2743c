"""From anatomy and exposure to a radiograph: line integrals, Beer-Lambert, scatter, blur, quantum noise, tone curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from xray_mining.phantom import rasters, skeleton
from xray_mining.phantom.acquisition import Acquisition
from xray_mining.phantom.anatomy import Anatomy
from xray_mining.phantom.camera import Camera
from xray_mining.phantom.developing import develop
from xray_mining.phantom.drawing import (
    CORTEX,
    FAT,
    MUSCLE,
    TRABECULAE,
    draw_arms,
    draw_bones,
    draw_breasts,
    draw_disease,
    draw_ellipsoid,
    draw_gas,
    draw_tubes,
    draw_vessels,
    hila,
    texture,
)
from xray_mining.phantom.skeleton import Frame
from xray_mining.phantom.subject import Lesion, Subject


@dataclass(frozen=True, slots=True)
class Projection:
    """One radiograph before it is written to a file."""

    values: np.ndarray  # (rows, columns) uint16, bright = dense, in the maker's bits
    masks: np.ndarray  # (rows, columns) uint8 bit field: 1 right lung, 2 left lung, 4 heart
    spacing_mm: float  # on the detector
    window: tuple[float, float]  # centre and width for `values`
    magnification: float  # of the middle of the thorax
    lesions_px: np.ndarray  # (n, 3) column, row and diameter of each lesion in pixels


def project(
    subject: Subject, acquisition: Acquisition, size: int, rng: np.random.Generator, marks: Sequence[str] = ()
) -> Projection:
    """Draw one radiograph; `rng` is the visit's random stream (noise, gas, posture), `size` the longer side in px."""
    anatomy = subject.anatomy
    columns = round(size * min(acquisition.maker.aspect, 1.0))
    high = anatomy.lung_height_mm * acquisition.inspiration_fraction
    camera = Camera(acquisition, anatomy, size, columns, middle=0.55 * high)
    traits = subject.chance(0).standard_normal(32)
    frame, tables, domes = _thorax(anatomy, acquisition, high, traits)
    heart_radius, heart_place = _heart(anatomy, acquisition, high, traits, float(rng.normal(0, 0.012)))
    # Solids first, because lung and mask decide where vessels and disease can be drawn.
    depths = (0.0, -0.16 * anatomy.thorax_depth_mm, 0.0)
    muscle, fat, lung, masks = rasters.solids(
        (size, columns),
        camera.spacing,
        camera.centre,
        np.array([camera.magnification(z) for z in depths]),
        np.array([camera.shift(z) for z in depths]),
        tables,
        domes,
        heart_radius,
        heart_place,
    )
    layers = np.zeros((9, size, columns), np.float32)
    layers[0], layers[1], layers[2] = muscle, fat, lung
    vessels, disease, soft, cortex, trabeculae, air = layers[3:]

    # Everything that attenuates within the lung adds to it: vessels, nodules, disease.
    draw_vessels(vessels, camera, anatomy, high, masks=masks, own=subject.chance(1))
    trunk, knob = skeleton.aorta(anatomy, frame, high)
    draw_tubes(vessels, camera, [trunk, *hila(anatomy, high)])
    for lesion in subject.lesions:
        half = (lesion.radius_mm, lesion.radius_mm)
        path = 2 * lesion.radius_mm * lesion.density_relative
        draw_ellipsoid(vessels, camera, np.array(lesion.place_mm), half, path)
    draw_disease(disease, subject, camera, lung=np.maximum(lung - vessels, 0), high=high)

    # Bones, air and soft tissue outside the lung.
    draw_bones(cortex, trabeculae, camera, subject, frame, knob=knob, lift=float(rng.normal(4, 4)))
    draw_tubes(air, camera, skeleton.airways(anatomy, frame, high))
    draw_gas(air, camera, high, anatomy, domes=domes, rng=rng)
    draw_breasts(soft, camera, anatomy, high, traits)
    draw_arms(layers, camera, anatomy, acquisition)

    attenuation = _attenuation(layers, subject, camera, high)
    attenuation, masks = _rolled(attenuation, masks, acquisition.tilt_degrees)
    values, window = develop(attenuation, acquisition, camera.spacing, rng, marks)
    return Projection(
        values=values,
        masks=masks,
        spacing_mm=camera.spacing,
        window=window,
        magnification=float(camera.magnification(0.0)),
        lesions_px=_lesions_px(subject.lesions, camera, acquisition),
    )


def _rolled(attenuation: np.ndarray, masks: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture and its masks turned together by the roll of the person."""
    if abs(degrees) <= 0.05:
        return attenuation, masks
    rows, columns = attenuation.shape[:2]
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
    flat = (columns, rows)
    return (
        cv2.warpAffine(attenuation, matrix, flat, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(masks, matrix, flat, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE),
    )


def _lesions_px(lesions: Sequence[Lesion], camera: Camera, acquisition: Acquisition) -> np.ndarray:
    if not lesions:
        return np.zeros((0, 3))
    places, scale = camera.pixels(np.array([each.place_mm for each in lesions]))
    matrix = cv2.getRotationMatrix2D((camera.shape[1] / 2, camera.shape[0] / 2), acquisition.tilt_degrees, 1.0)
    if abs(acquisition.tilt_degrees) > 0.05:
        places = places @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([places, 2 * scale * np.array([each.radius_mm for each in lesions])])


def _attenuation(layers: np.ndarray, subject: Subject, camera: Camera, high: float) -> np.ndarray:
    """Attenuation along each ray from the path lengths (9, rows, columns), with fine structure of lung and tissue."""
    scale = layers.shape[1] / 512
    own, anatomy = subject.chance(4), subject.anatomy
    grain = texture(own, layers[2].shape, octaves=(14, 7, 4, 2.2), weights=(0.45, 0.5, 0.5, 0.45), scale=scale)
    tissue = texture(own, layers[2].shape, octaves=(120, 60, 30, 14, 6), weights=(1, 0.8, 0.5, 0.3, 0.2), scale=scale)
    density = anatomy.lung_density_relative * (1.6 - 0.6 * camera.acquisition.inspiration_fraction**2)
    coefficients = np.array([MUSCLE, FAT, CORTEX, TRABECULAE, density, anatomy.bone_density_relative])
    # Vessels and bronchi smaller than the drawn tree make the lung denser towards its root.
    roots, per_mm = camera.pixels(
        np.array([[-0.13 * anatomy.thorax_width_mm, 0.52 * high, 0], [0.13 * anatomy.thorax_width_mm, 0.50 * high, 0]])
    )
    hila = np.column_stack([roots, 44 * per_mm, np.full(2, 0.13)])
    return rasters.attenuation(layers, grain, tissue, hila, coefficients)


def _mediastinum(height: np.ndarray, scale: float, traits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the mediastinum's right and left edge from the midline, in mm, at heights as shares of the lung."""
    # Right: vena cava, then the atrium; left: below the arch a bay, then the pulmonary trunk, then the heart.
    right_edge = scale * np.interp(height, [0, 0.06, 0.13, 0.28, 0.42, 0.56, 0.72, 1], [46, 37, 32, 28, 30, 33, 24, 18])
    left_edge = scale * np.interp(
        height, [0, 0.06, 0.13, 0.28, 0.40, 0.50, 0.60, 0.75, 1], [46, 38, 34, 31, 28, 33, 32, 20, 18]
    )
    right_edge = cv2.GaussianBlur(right_edge[None], (0, 0), 6)[0]
    left_edge = cv2.GaussianBlur(left_edge[None], (0, 0), 6)[0]
    right_edge *= 1 + 0.06 * traits[4]
    left_edge *= 1 + 0.06 * traits[5]
    return right_edge, left_edge


def _muscles(anatomy: Anatomy, y: np.ndarray, t: np.ndarray, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Half width and half depth of the muscle layer from neck to belly, in mm; `t` is y as a share of the thorax."""
    wall = 17 + 13 * anatomy.muscle_relative
    chest = anatomy.thorax_width_mm / 2 + wall
    neck = 51 + 9 * anatomy.muscle_relative
    shoulder = anatomy.clavicle_length_mm + 36 + 10 * anatomy.muscle_relative
    girdle = np.interp(
        y,
        [-160, -95, -62, -42, -18, 8, 35, 70, 120, 175, 260, 600],
        [
            neck + 4,
            neck,
            neck + 4,
            neck + 28,
            neck + 78,
            shoulder - 14,
            shoulder,
            shoulder + 3,
            chest + 14,
            chest,
            chest,
            chest,
        ],
    )
    girdle = cv2.GaussianBlur(girdle[None].astype(np.float64), (0, 0), 11)[0]
    deep = np.interp(y, [-160, -60, -20, 30, 100, 170, 600], [54, 58, 70, 84, 84, 84, 84])
    trunk = anatomy.thorax_depth_mm / 2 * (0.92 + 0.10 * np.clip(t, 0, 1)) + 12 + 9 * anatomy.muscle_relative
    deep = np.where(y < 100, deep + np.clip((y - 30) / 70, 0, 1) * (trunk - deep), trunk)
    deep += np.clip((y - 0.85 * high) / 110, 0, 1) * (14 + 0.35 * anatomy.subcutaneous_fat_mm)
    deep = cv2.GaussianBlur(deep[None].astype(np.float64), (0, 0), 9)[0]
    return girdle, deep


def _thorax(
    anatomy: Anatomy, acquisition: Acquisition, high: float, traits: np.ndarray
) -> tuple[Frame, np.ndarray, np.ndarray]:
    """The thorax as tables over y for the solids, as functions for the bones, and its two domes."""
    y = np.arange(rasters.TABLE, dtype=float) - rasters.ZERO_ROW
    dome = anatomy.diaphragm_dome_mm * (0.8 + 0.2 * acquisition.inspiration_fraction)
    whole = high + dome
    t = np.clip(y / whole, 0, 1)
    scale = anatomy.thorax_width_mm / 270
    half = anatomy.thorax_width_mm / 2
    # The cavity is narrow at the apices, widest near the base.
    narrow = 2.15 + 0.12 * traits[0]
    profile = np.sqrt(np.clip(1 - (1 - np.clip(t, 0, 0.86) / 0.86) ** narrow, 0, 1))
    profile = np.where(t > 0.86, 1 - 0.25 * (t - 0.86) ** 2 / 0.14, profile)
    apex = 30 * scale
    width = np.where(y > 0, apex + (half - apex) * profile, 0.0)
    # Depth follows age by kyphosis; the midline bends by the person's own traits.
    depth = (
        anatomy.thorax_depth_mm / 2 * (0.30 + 0.70 * np.sqrt(np.clip(1 - (1 - np.clip(t / 0.75, 0, 1)) ** 2.2, 0, 1)))
    )
    depth *= 1 + 0.0012 * (anatomy.kyphosis_degrees - 32) * (1 - t)
    middle = 2.5 * traits[1] * np.sin(np.pi * (y / whole * 1.1 + 0.2 * traits[2])) + 0.6 * traits[3]
    right_edge, left_edge = _mediastinum(y / high, scale, traits)
    girdle, deep = _muscles(anatomy, y, t, high)
    fat = anatomy.subcutaneous_fat_mm * (0.55 + 0.45 * np.clip((y + 20) / 200, 0, 1))
    belly = 1 + 0.5 * np.clip((y - high) / 80, 0, 1)
    # The left and right half differ by the person's own asymmetry.
    tables = np.stack([
        middle, width * (1 + 0.010 * traits[6]), width * (1 - 0.010 * traits[6]), np.where(y > 0, depth, 0.0),
        right_edge, left_edge, girdle, deep, girdle + fat * belly, deep + 0.6 * fat * belly,
        np.interp(y, [0.58 * high, 0.82 * high], [1.9, 0.9]),
    ])  # fmt: skip
    step = anatomy.diaphragm_step_mm
    domes = np.array([
        [high, 0.50 * half, dome, anatomy.thorax_depth_mm / 2, 0.10 * dome],
        [high + step, 0.53 * half, max(dome - 0.55 * step, 14.0), anatomy.thorax_depth_mm / 2, 0.06 * dome],
    ])  # fmt: skip

    def over(values: np.ndarray) -> object:
        return lambda at: np.interp(at, y, values)

    middles, heights = skeleton.vertebrae(anatomy)
    frame = Frame(over(width), over(depth), over(middle), middles, heights)  # ty: ignore[invalid-argument-type]
    return frame, tables.astype(np.float64), domes


def _heart(
    anatomy: Anatomy, acquisition: Acquisition, high: float, traits: np.ndarray, beat: float
) -> tuple[np.ndarray, np.ndarray]:
    """Silhouette of the heart: radius at 720 angles and (x, y, half depth, lowest y, greatest radius) of its middle."""
    flat = 1 + 0.45 * (0.95 - acquisition.inspiration_fraction) + beat
    width = anatomy.heart_width_mm * flat
    height = anatomy.heart_width_mm * anatomy.heart_height_ratio / flat
    corners = np.array([
        [-0.17, -0.93], [-0.235, -0.74], [-0.325, -0.52], [-0.345, -0.28], [-0.29, -0.03], [-0.08, 0.13], [0.24, 0.17],
        [0.52, 0.10], [0.645, -0.07], [0.63, -0.24], [0.565, -0.45], [0.455, -0.64], [0.36, -0.80], [0.285, -0.97],
        [0.15, -1.10], [-0.05, -1.08],
    ])  # fmt: skip
    corners[9:13, 0] += 0.016 * traits[8]
    corners[12:14, 0] += 0.020 * traits[9]
    corners[2:4, 0] -= 0.015 * traits[10]
    corners[7:9, 1] += 0.03 * traits[11]
    closed = np.concatenate([corners, corners[:3]])
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    pieces = []
    for index in range(len(corners)):
        a, b, c, d = (closed[(index + k) % len(corners)] for k in range(4))
        cubic = (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
        pieces.append(0.5 * (2 * b + (c - a) * t + cubic))
    outline = np.concatenate(pieces)
    outline[:, 0] /= np.ptp(outline[:, 0])
    middle = np.array([0.14, -0.42])
    away = (outline - middle) * [width, height]
    angle, reach = np.arctan2(away[:, 1], away[:, 0]), np.hypot(away[:, 0], away[:, 1])
    order = np.argsort(angle)
    grid = np.linspace(-np.pi, np.pi, 720, endpoint=False)
    radius = np.interp(grid, angle[order], reach[order], period=2 * np.pi)
    base = high + 13 + 0.3 * anatomy.diaphragm_step_mm
    place = np.array(
        [middle[0] * width - 1 + 2 * traits[12], base + middle[1] * height, 0.57 * width, base, radius.max()]
    )
    return radius, place
