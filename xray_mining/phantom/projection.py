"""From anatomy and exposure to a radiograph: line integrals, Beer-Lambert, scatter, blur, quantum noise, tone curve."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from xray_mining.phantom import rasters, skeleton
from xray_mining.phantom.acquisition import Acquisition
from xray_mining.phantom.anatomy import Anatomy
from xray_mining.phantom.skeleton import Frame, Tube

# Effective linear attenuation per mm for a 110 kV beam behind a patient (about 65 keV; Hubbell and Seltzer, NIST 1995,
# rounded): muscle and blood, fat, and what cortical and trabecular bone add to muscle.
MUSCLE, FAT = 0.0196, 0.0172
CORTEX, TRABECULAE = 0.026, 0.0046


@dataclass(frozen=True, slots=True)
class Lesion:
    """A spherical opacity in the lung; place is the thorax's own (x, y, z) in mm."""

    place_mm: tuple[float, float, float]
    radius_mm: float
    density_relative: float  # above lung, 1 = soft tissue


@dataclass(frozen=True, slots=True)
class Disease:
    """What a diseased thorax has more: fluid in the pleural angle and patchy opacities at the bases."""

    effusion_mm: tuple[float, float] = (0.0, 0.0)  # height of the meniscus above the angle, right and left
    opacity: tuple[float, float] = (0.0, 0.0)  # added density at the base of the right and the left lung


@dataclass(frozen=True, slots=True)
class Subject:
    """A person at one visit, with everything that is drawn."""

    anatomy: Anatomy
    person_seed: tuple[int, ...]  # fixes what is the same at every visit: vessels, ribs' own shape, asymmetry
    lesions: tuple[Lesion, ...] = ()
    disease: Disease = field(default_factory=Disease)

    def chance(self, purpose: int) -> np.random.Generator:
        """The person's own chance for one purpose, the same at every visit whatever else was drawn."""
        return np.random.default_rng([*self.person_seed, purpose])


@dataclass(frozen=True, slots=True)
class Projection:
    """One radiograph before it is a file."""

    values: np.ndarray  # (rows, columns) uint16, bright = dense, in the maker's bits
    masks: np.ndarray  # (rows, columns) uint8 bit field: 1 right lung, 2 left lung, 4 heart
    spacing_mm: float  # on the detector
    window: tuple[float, float]  # centre and width for `values`
    magnification: float  # of the middle of the thorax
    lesions_px: np.ndarray  # (n, 3) column, row and diameter of each lesion in pixels


class Camera:
    """Perspective from thorax millimetres to pixels for one exposure."""

    def __init__(self, acquisition: Acquisition, anatomy: Anatomy, rows: int, columns: int, middle: float) -> None:
        self.acquisition = acquisition
        self.shape = (rows, columns)
        self.spacing = acquisition.field_mm / max(rows, columns)
        self.half_depth = anatomy.thorax_depth_mm / 2 + 26 + 0.6 * anatomy.subcutaneous_fat_mm
        self.centre = (acquisition.offset_x_mm, middle + acquisition.offset_y_mm)
        self.turn = np.radians(acquisition.rotation_degrees)
        self.roll = np.radians(acquisition.tilt_degrees)

    def magnification(self, z: float | np.ndarray) -> float | np.ndarray:
        """How many times larger than itself a thing at depth z is drawn."""
        toward = z if self.acquisition.view_position == "PA" else -np.asarray(z)
        distance = self.half_depth + toward + self.acquisition.gap_mm
        return self.acquisition.source_distance_mm / (self.acquisition.source_distance_mm - distance)

    def shift(self, z: float) -> float:
        """How far the person's rotation moves a solid at depth z, to be taken from its x."""
        return -z * float(np.sin(self.turn))

    def pixels(self, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 3) in mm → (column, row) of each (n, 2), and pixels per mm at each (n,)."""
        x, y, z = points_mm[:, 0], points_mm[:, 1], points_mm[:, 2]
        turned_x, turned_z = (
            x * np.cos(self.turn) + z * np.sin(self.turn),
            z * np.cos(self.turn) - x * np.sin(self.turn),
        )
        scale = np.asarray(self.magnification(turned_z)) / self.spacing
        column = (turned_x - self.centre[0]) * scale + self.shape[1] / 2
        row = (y - self.centre[1]) * scale + self.shape[0] / 2
        return np.stack([column, row], 1), scale


def project(
    subject: Subject, acquisition: Acquisition, size: int, rng: np.random.Generator, marks: Sequence[str] = ()
) -> Projection:
    """Draw one radiograph; `rng` is the visit's own chance (noise, gas, posture), `size` the longer side in pixels."""
    anatomy = subject.anatomy
    columns = round(size * min(acquisition.maker.aspect, 1.0))
    high = anatomy.lung_height_mm * acquisition.inspiration_fraction
    camera = Camera(acquisition, anatomy, size, columns, middle=0.55 * high)
    traits = subject.chance(0).standard_normal(32)
    frame, tables, domes = _thorax(anatomy, acquisition, high, traits)
    heart_radius, heart_place = _heart(anatomy, acquisition, high, traits, float(rng.normal(0, 0.012)))
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

    _draw_vessels(vessels, camera, anatomy, high, masks=masks, own=subject.chance(1))
    trunk, knob = skeleton.aorta(anatomy, frame, high)
    _draw_tubes(vessels, camera, [trunk, *_hila(anatomy, high)])
    for lesion in subject.lesions:
        half = (lesion.radius_mm, lesion.radius_mm)
        path = 2 * lesion.radius_mm * lesion.density_relative
        _draw_ellipsoid(vessels, camera, np.array(lesion.place_mm), half, path)
    _draw_disease(disease, subject, camera, lung=np.maximum(lung - vessels, 0), high=high)

    bones, cartilages = skeleton.ribs(anatomy, frame, subject.chance(2).standard_normal((skeleton.RIBS, 4)))
    _draw_tubes(cortex, camera, bones, marrow=trabeculae, flat=True)
    lift = float(rng.normal(4, 4)) - 4 * (acquisition.view_position == "AP")
    girdle = skeleton.shoulder_girdle(anatomy, frame, acquisition.scapula_spread_mm, lift)
    _draw_tubes(cortex, camera, girdle + cartilages, marrow=trabeculae)
    _draw_blades(cortex, camera, anatomy, acquisition, lift)
    _draw_spine(cortex, trabeculae, camera, anatomy, frame)
    _draw_calcification(cortex, camera, anatomy, knob, subject.chance(3))
    _draw_tubes(air, camera, skeleton.airways(anatomy, frame, high))
    _draw_gas(air, camera, high, anatomy, domes=domes, rng=rng)
    _draw_breasts(soft, camera, anatomy, high, traits)
    _draw_arms(layers, camera, anatomy, acquisition)

    scale = size / 512
    own = subject.chance(4)
    grain = _texture(own, lung.shape, octaves=(14, 7, 4, 2.2), weights=(0.45, 0.5, 0.5, 0.45), scale=scale)
    tissue = _texture(own, lung.shape, octaves=(120, 60, 30, 14, 6), weights=(1, 0.8, 0.5, 0.3, 0.2), scale=scale)
    density = anatomy.lung_density_relative * (1.6 - 0.6 * acquisition.inspiration_fraction**2)
    coefficients = np.array([MUSCLE, FAT, CORTEX, TRABECULAE, density, anatomy.bone_density_relative])
    # Vessels and bronchi below the drawn tree's size make the lung denser towards its root.
    roots, per_mm = camera.pixels(
        np.array([[-0.13 * anatomy.thorax_width_mm, 0.52 * high, 0], [0.13 * anatomy.thorax_width_mm, 0.50 * high, 0]])
    )
    hila = np.column_stack([roots, 44 * per_mm, np.full(2, 0.13)])
    attenuation = rasters.attenuation(layers, grain, tissue, hila, coefficients)
    centre = camera.shape[1] / 2, camera.shape[0] / 2
    if abs(acquisition.tilt_degrees) > 0.05:
        matrix = cv2.getRotationMatrix2D(centre, acquisition.tilt_degrees, 1.0)
        flat = (columns, size)
        attenuation = cv2.warpAffine(attenuation, matrix, flat, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        masks = cv2.warpAffine(masks, matrix, flat, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    values, window = _develop(attenuation, acquisition, camera.spacing, rng, marks)
    return Projection(
        values=values,
        masks=masks,
        spacing_mm=camera.spacing,
        window=window,
        magnification=float(camera.magnification(0.0)),
        lesions_px=_lesions_px(subject.lesions, camera, acquisition),
    )


def _lesions_px(lesions: Sequence[Lesion], camera: Camera, acquisition: Acquisition) -> np.ndarray:
    if not lesions:
        return np.zeros((0, 3))
    places, scale = camera.pixels(np.array([each.place_mm for each in lesions]))
    matrix = cv2.getRotationMatrix2D((camera.shape[1] / 2, camera.shape[0] / 2), acquisition.tilt_degrees, 1.0)
    if abs(acquisition.tilt_degrees) > 0.05:
        places = places @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([places, 2 * scale * np.array([each.radius_mm for each in lesions])])


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
    narrow = 2.15 + 0.12 * traits[0]
    profile = np.sqrt(np.clip(1 - (1 - np.clip(t, 0, 0.86) / 0.86) ** narrow, 0, 1))
    profile = np.where(t > 0.86, 1 - 0.25 * (t - 0.86) ** 2 / 0.14, profile)
    apex = 30 * scale
    width = np.where(y > 0, apex + (half - apex) * profile, 0.0)
    depth = (
        anatomy.thorax_depth_mm / 2 * (0.30 + 0.70 * np.sqrt(np.clip(1 - (1 - np.clip(t / 0.75, 0, 1)) ** 2.2, 0, 1)))
    )
    depth *= 1 + 0.0012 * (anatomy.kyphosis_degrees - 32) * (1 - t)
    middle = 2.5 * traits[1] * np.sin(np.pi * (y / whole * 1.1 + 0.2 * traits[2])) + 0.6 * traits[3]
    # Right: vena cava, then the atrium; left: below the arch a bay, then the pulmonary trunk, then the heart.
    right_edge = scale * np.interp(
        y / high, [0, 0.06, 0.13, 0.28, 0.42, 0.56, 0.72, 1], [46, 37, 32, 28, 30, 33, 24, 18]
    )
    left_edge = scale * np.interp(
        y / high, [0, 0.06, 0.13, 0.28, 0.40, 0.50, 0.60, 0.75, 1], [46, 38, 34, 31, 28, 33, 32, 20, 18]
    )
    right_edge = cv2.GaussianBlur(right_edge[None], (0, 0), 6)[0]
    left_edge = cv2.GaussianBlur(left_edge[None], (0, 0), 6)[0]
    right_edge *= 1 + 0.06 * traits[4]
    left_edge *= 1 + 0.06 * traits[5]
    wall = 17 + 13 * anatomy.muscle_relative
    chest = half + wall
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
    fat = anatomy.subcutaneous_fat_mm * (0.55 + 0.45 * np.clip((y + 20) / 200, 0, 1))
    belly = 1 + 0.5 * np.clip((y - high) / 80, 0, 1)
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


def _draw_tubes(
    target: np.ndarray, camera: Camera, parts: Sequence[Tube], *, marrow: np.ndarray | None = None, flat: bool = False
) -> None:
    """Add tubes' path lengths in mm: hollow ones put their cortex into `target` and what it encloses into `marrow`."""
    for hollow in sorted({each.cortex_mm for each in parts}):
        group = [each for each in parts if each.cortex_mm == hollow]
        points, scale = camera.pixels(np.concatenate([each.points_mm for each in group]))
        radius = np.concatenate([each.radius_mm for each in group])
        start = np.cumsum([0, *(len(each.points_mm) for each in group)])
        space = np.concatenate([_lean(each.points_mm) for each in group])
        # Path lengths come in pixels at each tube's own scale; one common scale keeps the compiled loop simple.
        common = float(np.mean(scale))
        inner = target if marrow is None else marrow
        rasters.tubes(target, inner, points, radius * scale, space, start, hollow * common, flat, 1 / common)


def _lean(points: np.ndarray) -> np.ndarray:
    """How many times longer than a crossing at right angles the ray (along z) runs in each segment, at most 1.5."""
    step = np.diff(points, axis=0, append=2 * points[-1:] - points[-2:-1])
    whole, across = np.linalg.norm(step, axis=1), np.hypot(step[:, 0], step[:, 1])
    return np.minimum(whole / np.maximum(across, 1e-6), 1.5)


def _draw_ellipsoid(
    target: np.ndarray, camera: Camera, place_mm: np.ndarray, half_mm: tuple[float, float], path_mm: float, *,
    angle: float = 0.0,
) -> None:  # fmt: skip
    point, scale = camera.pixels(np.asarray(place_mm, float)[None])
    row = [point[0, 0], point[0, 1], half_mm[0] * scale[0], half_mm[1] * scale[0], angle, path_mm]
    rasters.ellipses(target, np.array([row]))


def _draw_vessels(
    target: np.ndarray, camera: Camera, anatomy: Anatomy, high: float, *, masks: np.ndarray, own: np.random.Generator
) -> None:
    """Arteries and veins as two trees a lung that fork towards the pleura, wider at the bases."""
    begin, end, sizes = [], [], []
    calibre = anatomy.pulmonary_artery_width_mm / 13.5
    for side in (-1, 1):
        hilum = np.array([side * 0.155 * anatomy.thorax_width_mm, (0.455 if side < 0 else 0.42) * high, 6.0])
        count = 13
        angle = np.linspace(-0.46 * np.pi, 0.52 * np.pi, count) + own.normal(0, 0.10, count)
        tilt = own.uniform(-0.55, 0.55, count)
        direction = np.stack([side * np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)], 1)
        place = hilum + direction * own.uniform(4, 12, count)[:, None]
        radius = calibre * own.uniform(1.9, 3.4, count) * (1 + 0.18 * np.sin(angle))
        alive = np.ones(count, bool)
        for level in range(8):
            # Chance is drawn for every branch there could be, so that a branch that leaves the lung changes no other.
            for _ in range(2):
                direction = direction + own.normal(0, 0.14, direction.shape)
                direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
                reached = place + direction * (4.6 * radius + 2.2)[:, None]
                begin.append(place[alive])
                end.append(reached[alive])
                sizes.append(radius[alive])
                place = reached
            radius = radius * own.uniform(0.70, 0.86, radius.shape)
            place, direction = np.repeat(place, 2, axis=0), np.repeat(direction, 2, axis=0)
            radius, alive = np.repeat(radius, 2), np.repeat(alive, 2)
            direction = direction + own.normal(0, 0.36, direction.shape)
            direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
            alive &= (radius > 0.26) & (np.abs(place[:, 2]) < 0.46 * anatomy.thorax_depth_mm)
            pixels, _ = camera.pixels(place[alive])
            column = np.clip(pixels[:, 0].astype(int), 0, masks.shape[1] - 1)
            row = np.clip(pixels[:, 1].astype(int), 0, masks.shape[0] - 1)
            alive[alive] = (masks[row, column] > 0) | (level < 2)
            if not alive.any():
                break
    points0, scale = camera.pixels(np.concatenate(begin))
    points1, _ = camera.pixels(np.concatenate(end))
    rasters.branches(target, points0, points1, np.concatenate(sizes) * scale, 1 / float(np.mean(scale)))


def _hila(anatomy: Anatomy, high: float) -> list[Tube]:
    """The central pulmonary arteries: the right descending one and the left over the bronchus, and the lower veins."""
    radius, wide = anatomy.pulmonary_artery_width_mm / 2, anatomy.thorax_width_mm
    courses = (
        ([[-0.05, 0.44, 0], [-0.125, 0.45, 4], [-0.175, 0.56, 10], [-0.195, 0.68, 14]], [1.1, 1.05, 0.9, 0.55]),
        ([[0.06, 0.42, -4], [0.135, 0.395, 6], [0.185, 0.48, 16], [0.20, 0.62, 22]], [1.2, 1.1, 0.85, 0.5]),
        ([[-0.10, 0.47, 2], [-0.15, 0.38, 6], [-0.185, 0.30, 8]], [0.8, 0.65, 0.4]),
        ([[0.11, 0.43, 2], [0.165, 0.35, 6], [0.20, 0.28, 8]], [0.8, 0.6, 0.4]),
        ([[-0.09, 0.60, 8], [-0.17, 0.66, 10], [-0.24, 0.72, 14]], [0.9, 0.6, 0.35]),
    )
    tubes = []
    for corners, sizes in courses:
        line = skeleton.smooth(np.array(corners, float) * (wide, high, 1.0), 24)
        tubes.append(Tube(line, radius * np.interp(np.linspace(0, 1, 24), np.linspace(0, 1, len(sizes)), sizes)))
    return tubes


def _draw_blades(target: np.ndarray, camera: Camera, anatomy: Anatomy, acquisition: Acquisition, lift: float) -> None:
    for side in (-1, 1):
        outline = skeleton.scapula_outline(side, anatomy.clavicle_length_mm, acquisition.scapula_spread_mm, lift)
        points, _ = camera.pixels(outline)
        blade = np.zeros(target.shape, np.uint8)
        cv2.fillPoly(blade, [np.round(points * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
        target += cv2.GaussianBlur(blade.astype(np.float32), (0, 0), 1.6 / camera.spacing) * (1.6 / 255)


def _draw_spine(cortex: np.ndarray, trabeculae: np.ndarray, camera: Camera, anatomy: Anatomy, frame: Frame) -> None:
    """Vertebral bodies with end plates that blur as kyphosis tilts them, pedicles, processes and osteophytes."""
    rows, columns = cortex.shape
    depth_here = 0.36 * anatomy.thorax_depth_mm
    edges = []
    for index, (middle, height) in enumerate(zip(frame.vertebra_mm, frame.vertebra_height_mm, strict=True)):
        level = (index - 2) / 11
        half_width = (12.5 + 7.5 * np.clip(level, -0.1, 1.2)) * (0.72 + 0.28 * anatomy.clavicle_width_mm / 11.8)
        deep = 19 + 12 * np.clip(level, -0.1, 1.2)
        x0 = float(frame.middle_mm(np.array([middle]))[0])
        z0 = depth_here * (0.65 + 0.35 * np.sin(np.pi * np.clip(level, 0, 1)))
        point, scale = camera.pixels(np.array([[x0, middle, z0]]))
        column0, row0, per_mm = float(point[0, 0]), float(point[0, 1]), float(scale[0])
        tilt = np.radians(anatomy.kyphosis_degrees) * (0.5 - level) * 0.9
        soft = (1.0 + 0.32 * deep * abs(np.sin(tilt))) * per_mm
        top, bottom = int(row0 - (height * 0.5 + 14) * per_mm), int(row0 + (height * 0.5 + 14) * per_mm) + 1
        left, right = int(column0 - 34 * per_mm), int(column0 + 34 * per_mm) + 1
        top, bottom, left, right = max(top, 0), min(bottom, rows), max(left, 0), min(right, columns)
        if top >= bottom or left >= right:
            continue
        y = np.arange(top, bottom) + 0.5 - row0
        x = np.abs(np.arange(left, right) + 0.5 - column0) / per_mm
        reach = height / 2 * per_mm
        across = np.sqrt(1 - np.minimum(x / half_width, 1) ** 4)
        shell = np.exp(-0.5 * ((x - half_width + 0.8) / 0.9) ** 2)
        inside = 0.5 * (np.tanh((y + reach) / soft) - np.tanh((y - reach) / soft))
        plate = np.exp(-0.5 * ((y + reach) / (0.8 * soft)) ** 2) + np.exp(-0.5 * ((y - reach) / (0.8 * soft)) ** 2)
        plate *= 0.9 * per_mm / soft
        spongy, hard = trabeculae[top:bottom, left:right], cortex[top:bottom, left:right]
        spongy += np.outer(inside, 0.75 * deep * across).astype(np.float32)
        hard += (np.outer(plate, 0.16 * deep * across) + np.outer(inside, 4.5 * shell + 0.9 * across)).astype(
            np.float32
        )
        spread = 1 + 0.5 * anatomy.osteophyte_mm / 6
        for side in (-1, 1):
            edges.append([column0 + side * 0.60 * half_width * per_mm, row0 - 0.15 * height * per_mm,
                          3.1 * per_mm, 4.3 * per_mm, 0.0, 3.6])  # fmt: skip
            if anatomy.osteophyte_mm > 0.4 and level > 0.3:
                reach_x = side * (half_width + 0.35 * anatomy.osteophyte_mm) * per_mm
                wide, tall = (1.0 + 0.75 * anatomy.osteophyte_mm) * per_mm, 1.5 * spread * per_mm
                edges += [
                    [column0 + reach_x, row0 + end * 0.47 * height * per_mm, wide, tall, 0.25 * side * end,
                     0.9 * anatomy.osteophyte_mm] for end in (-1, 1)
                ]  # fmt: skip
            transverse = camera.pixels(np.array([[x0 + side * (half_width + 7), middle - 0.2 * height, z0 + 24]]))[0][0]
            edges.append([transverse[0], transverse[1], 9 * per_mm, 4.2 * per_mm, -0.2 * side, 2.0])
        process = camera.pixels(np.array([[x0, middle + 0.62 * height, z0 + 46]]))[0][0]
        edges.append([process[0], process[1], 2.6 * per_mm, 6.5 * per_mm, 0.0, 4.2])
    rasters.ellipses(cortex, np.array(edges))


def _draw_calcification(
    target: np.ndarray, camera: Camera, anatomy: Anatomy, knob: np.ndarray, own: np.random.Generator
) -> None:
    """A broken bright rim along the outer wall of the arch."""
    gaps = own.random(40)
    if anatomy.aortic_calcification_fraction <= 0.02:
        return
    radius = anatomy.aortic_arch_width_mm / 2 - 1.0
    angle = np.linspace(np.radians(-115), np.radians(55), 40)
    length = anatomy.aortic_calcification_fraction
    shown = np.abs(np.linspace(-1, 1, 40) + 0.2) < 0.15 + 1.1 * length
    shown &= gaps < 0.55 + 0.4 * length
    place = [[knob[0] + radius * np.cos(a), knob[1] + radius * np.sin(a), knob[2]] for a in angle[shown]]
    if not place:
        return
    points, scale = camera.pixels(np.array(place))
    ones = np.ones(len(points))
    rasters.ellipses(target, np.column_stack([
        points, 1.3 * scale * ones, (1.8 + 1.4 * length) * scale * ones, angle[shown], (1.8 + 3.4 * length) * ones,
    ]))  # fmt: skip


def _draw_gas(
    target: np.ndarray, camera: Camera, high: float, anatomy: Anatomy, *, domes: np.ndarray, rng: np.random.Generator
) -> None:
    """The stomach bubble under the left dome and some bowel gas."""
    chance = rng.random(8)
    left = domes[1]
    if chance[0] < 0.7:
        half = np.array([14 + 22 * chance[1], 8 + 12 * chance[2]])
        place = np.array([left[1] * (0.75 + 0.3 * chance[3]), left[0] + 9 + half[1], -10.0])
        _draw_ellipsoid(target, camera, place, (half[0], half[1]), 22 + 26 * chance[4], angle=0.15)
    for _ in range(int(4 * chance[5])):
        far = rng.random(5)
        place = np.array([(0.15 + 0.7 * far[0]) * anatomy.thorax_width_mm / 2, high + 55 + 55 * far[1], -20.0])
        _draw_ellipsoid(target, camera, place, (8 + 16 * far[2], 6 + 9 * far[3]), 10 + 18 * far[4], angle=far[0])


def _draw_breasts(target: np.ndarray, camera: Camera, anatomy: Anatomy, high: float, traits: np.ndarray) -> None:
    """Breast tissue as attenuation: a teardrop whose lower edge is seen and whose upper end fades into the chest."""
    base = (3 * anatomy.breast_volume_cm3 * 1000 / (2 * np.pi * 0.62)) ** (1 / 3)
    thick = 0.62 * base
    coefficient = FAT + (0.0204 - FAT) * anatomy.breast_density_fraction
    places = []
    for side in (-1, 1):
        x = side * (0.335 * anatomy.thorax_width_mm + 2 * traits[14])
        y = 0.66 * high + 0.20 * base + 2.5 * traits[15] + 1.5 * side * traits[16]
        point, scale = camera.pixels(np.array([[x, y, -anatomy.thorax_depth_mm / 2 - 20.0]]))
        wide, tall = 1.06 * base * scale[0], base * scale[0]
        places.append([point[0, 0], point[0, 1], wide, tall, coefficient * thick])
    rasters.breasts(target, np.array(places))


def _draw_arms(layers: np.ndarray, camera: Camera, anatomy: Anatomy, acquisition: Acquisition) -> None:
    """The upper arms beside the chest, where the picture is wide enough to show them."""
    reach = anatomy.clavicle_length_mm + 26 + (10 if acquisition.view_position == "PA" else 0)
    thick = 30 + 13 * anatomy.muscle_relative
    arms = []
    for side in (-1, 1):
        line = np.array([[side * reach, 55.0, 10], [side * (reach + 22), 150, 5], [side * (reach + 46), 320, 0]])
        arms.append(Tube(skeleton.smooth(line, 24), np.full(24, thick)))
    drawn = np.zeros_like(layers[0])
    _draw_tubes(drawn, camera, arms)
    # Where arm and trunk overlap in the picture they merge at the axilla: the thicker one counts.
    layers[0] += np.maximum(np.float32(0.9) * drawn - (layers[0] + layers[1]), 0)


def _draw_disease(target: np.ndarray, subject: Subject, camera: Camera, *, lung: np.ndarray, high: float) -> None:
    """Soft tissue (in mm of muscle) that replaces air: fluid with a meniscus and patchy opacities at the bases."""
    disease, anatomy = subject.disease, subject.anatomy
    if not any(disease.effusion_mm) and not any(disease.opacity):
        return
    rows, columns = lung.shape
    size = max(rows, columns) / 512
    cloud = _texture(subject.chance(5), lung.shape, octaves=(40, 20, 10, 5), weights=(1, 0.8, 0.5, 0.3), scale=size)
    scale = float(camera.magnification(0.0)) / camera.spacing
    x = ((np.arange(columns) + 0.5 - columns / 2) / scale + camera.centre[0])[None]
    y = ((np.arange(rows) + 0.5 - rows / 2) / scale + camera.centre[1])[:, None]
    for index, side in enumerate((-1, 1)):
        here = side * x > 0
        lateral = np.clip(side * x / (anatomy.thorax_width_mm / 2), 0, 1)
        if disease.effusion_mm[index] > 0:
            surface = high + anatomy.diaphragm_dome_mm - disease.effusion_mm[index] * (0.55 + 0.65 * lateral**3)
            share = 0.80 / (1 + np.exp(-np.clip((y - surface) / 4.0, -40, 40)))
            target += (here * lung * share).astype(np.float32)
        if disease.opacity[index] > 0:
            fall = np.exp(-0.5 * ((y - 0.86 * high) / (0.20 * high)) ** 2) * np.exp(
                -0.5 * ((lateral - 0.55) / 0.28) ** 2
            )
            share = disease.opacity[index] * fall * np.clip(0.6 + 0.6 * cloud, 0, 1.6)
            target += (here * np.maximum(lung - target, 0) * np.clip(share, 0, 0.8)).astype(np.float32)


def _texture(
    rng: np.random.Generator, shape: tuple[int, ...], octaves: Sequence[float], weights: Sequence[float], scale: float
) -> np.ndarray:
    """Smooth random structure of unit order, (rows, columns) float32; `octaves` are its wavelengths at 512 pixels."""
    total = np.zeros(shape, np.float32)
    for wavelength, weight in zip(octaves, weights, strict=True):
        rows, columns = (max(int(side / (wavelength * scale)) + 2, 3) for side in shape)
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return total / float(np.sqrt(np.sum(np.square(weights))))


def _develop(
    attenuation: np.ndarray, acquisition: Acquisition, spacing: float, rng: np.random.Generator, marks: Sequence[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Attenuation → the detector's signal → the maker's processed values and the window they are meant for."""
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
    # Detectors have finer pixels than the picture; what is left after binning is softer than one sample a pixel.
    signal = cv2.GaussianBlur(signal, (0, 0), 0.36, borderType=cv2.BORDER_REPLICATE)
    density = -np.log(np.maximum(signal, 1e-4))
    # What lies behind the body steers the grey range; open air beside it is driven into the black, as makers do.
    part = (slice(rows // 10, -(rows // 10), 3), slice(None, None, 3))
    body = attenuation[part] > 1.0
    if body.sum() < 100:
        body[:] = True
    behind = density[part][body]
    slow = cv2.resize(density, (columns // 8, rows // 8), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(slow, (0, 0), max(20 / (spacing * 8), 0.8), borderType=cv2.BORDER_REPLICATE)
    slow = cv2.resize(slow, (columns, rows), interpolation=cv2.INTER_LINEAR)
    level, least = (float(each) for each in np.percentile(behind, (50, 5)))
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
    """Text as lead or overlay would leave it, in the upper corner of the picture."""
    stamp = np.zeros(grey.shape, np.uint8)
    scale = grey.shape[0] / 512 * 0.55
    cv2.putText(stamp, text, (8, int(26 * grey.shape[0] / 512)), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, cv2.LINE_AA)
    weight = stamp.astype(np.float32) / 255
    grey += weight * (1.0 - grey)


def _close_shutters(grey: np.ndarray, acquisition: Acquisition, spacing: float) -> None:
    """Black out what the collimator covers, as makers do."""
    left, right, top, bottom = (int(each / spacing) for each in acquisition.shutter_mm)
    rows, columns = grey.shape
    grey[:, :left] = 0
    grey[:, columns - right :] = 0
    grey[:top] = 0
    grey[rows - bottom :] = 0
