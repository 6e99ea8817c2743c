"""Organs, bones and disease as path lengths on the layers of a radiograph."""

from collections.abc import Sequence

import cv2
import numpy as np

from xray_mining.phantom import rasters, skeleton
from xray_mining.phantom.acquisition import Acquisition
from xray_mining.phantom.anatomy import Anatomy
from xray_mining.phantom.camera import Camera
from xray_mining.phantom.skeleton import Frame, Tube
from xray_mining.phantom.subject import Subject

# Effective linear attenuation per mm for a 110 kV beam after a patient (about 65 keV; Hubbell and Seltzer, NIST 1995,
# rounded): muscle and blood, fat, and the additions of cortical and trabecular bone to muscle.
MUSCLE, FAT = 0.0196, 0.0172
CORTEX, TRABECULAE = 0.026, 0.0046


def draw_bones(
    cortex: np.ndarray,
    trabeculae: np.ndarray,
    camera: Camera,
    subject: Subject,
    frame: Frame,
    *,
    knob: np.ndarray,
    lift: float,
) -> None:
    """Ribs, shoulders, spine, and the calcified aorta; `lift` in mm is the height of the shoulders."""
    anatomy, acquisition = subject.anatomy, camera.acquisition
    bones, cartilages = skeleton.ribs(anatomy, frame, subject.chance(2).standard_normal((skeleton.RIBS, 4)))
    draw_tubes(cortex, camera, bones, marrow=trabeculae, flat=True)
    lift -= 4 * (acquisition.view_position == "AP")
    girdle = skeleton.shoulder_girdle(anatomy, frame, acquisition.scapula_spread_mm, lift)
    draw_tubes(cortex, camera, girdle + cartilages, marrow=trabeculae)
    _draw_blades(cortex, camera, anatomy, acquisition, lift)
    _draw_spine(cortex, trabeculae, camera, anatomy, frame)
    _draw_calcification(cortex, camera, anatomy, knob, subject.chance(3))


def draw_tubes(
    target: np.ndarray, camera: Camera, parts: Sequence[Tube], *, marrow: np.ndarray | None = None, flat: bool = False
) -> None:
    """Add tubes' path lengths in mm: hollow tubes add their cortex to `target` and their inside to `marrow`."""
    for hollow in sorted({each.cortex_mm for each in parts}):
        group = [each for each in parts if each.cortex_mm == hollow]
        points, scale = camera.pixels(np.concatenate([each.points_mm for each in group]))
        radius = np.concatenate([each.radius_mm for each in group])
        start = np.cumsum([0, *(len(each.points_mm) for each in group)])
        space = np.concatenate([_lean(each.points_mm) for each in group])
        # Path lengths are in pixels at each tube's own scale; one common scale keeps the compiled loop simple.
        common = float(np.mean(scale))
        inner = target if marrow is None else marrow
        rasters.tubes(target, inner, points, radius * scale, space, start, hollow * common, flat, 1 / common)


def _lean(points: np.ndarray) -> np.ndarray:
    """Length of the ray (along z) in each segment relative to a perpendicular crossing, at most 1.5."""
    step = np.diff(points, axis=0, append=2 * points[-1:] - points[-2:-1])
    whole, across = np.linalg.norm(step, axis=1), np.hypot(step[:, 0], step[:, 1])
    return np.minimum(whole / np.maximum(across, 1e-6), 1.5)


def draw_ellipsoid(
    target: np.ndarray, camera: Camera, place_mm: np.ndarray, half_mm: tuple[float, float], path_mm: float, *,
    angle: float = 0.0,
) -> None:  # fmt: skip
    """Add an ellipsoid with this path length at its middle and half axes in the plane of the picture."""
    point, scale = camera.pixels(np.asarray(place_mm, float)[None])
    row = [point[0, 0], point[0, 1], half_mm[0] * scale[0], half_mm[1] * scale[0], angle, path_mm]
    rasters.ellipses(target, np.array([row]))


def draw_vessels(
    target: np.ndarray, camera: Camera, anatomy: Anatomy, high: float, *, masks: np.ndarray, own: np.random.Generator
) -> None:
    """Arteries and veins as two trees per lung that fork towards the pleura, wider at the bases."""
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
            # Random numbers are drawn for every possible branch, so that a branch that leaves the lung changes no
            # other.
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


def hila(anatomy: Anatomy, high: float) -> list[Tube]:
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
        # Size and position grow with the level from C6 (-0.2) to L2; the spine is furthest back at mid level.
        level = (index - 2) / 11
        half_width = (12.5 + 7.5 * np.clip(level, -0.1, 1.2)) * (0.72 + 0.28 * anatomy.clavicle_width_mm / 11.8)
        deep = 19 + 12 * np.clip(level, -0.1, 1.2)
        x0 = float(frame.middle_mm(np.array([middle]))[0])
        z0 = depth_here * (0.65 + 0.35 * np.sin(np.pi * np.clip(level, 0, 1)))
        point, scale = camera.pixels(np.array([[x0, middle, z0]]))
        column0, row0, per_mm = float(point[0, 0]), float(point[0, 1]), float(scale[0])
        # Kyphosis tilts the upper and lower vertebrae, so that their end plates blur.
        tilt = np.radians(anatomy.kyphosis_degrees) * (0.5 - level) * 0.9
        soft = (1.0 + 0.32 * deep * abs(np.sin(tilt))) * per_mm
        top, bottom = int(row0 - (height * 0.5 + 14) * per_mm), int(row0 + (height * 0.5 + 14) * per_mm) + 1
        left, right = int(column0 - 34 * per_mm), int(column0 + 34 * per_mm) + 1
        top, bottom, left, right = max(top, 0), min(bottom, rows), max(left, 0), min(right, columns)
        if top >= bottom or left >= right:
            continue
        # The body is a box with soft edges: cortex at its sides and end plates, spongy bone inside.
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
        # Pedicles, osteophytes at the lower levels, transverse and spinous processes are ellipses.
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


def draw_gas(
    target: np.ndarray, camera: Camera, high: float, anatomy: Anatomy, *, domes: np.ndarray, rng: np.random.Generator
) -> None:
    """The stomach bubble under the left dome and some bowel gas."""
    chance = rng.random(8)
    left = domes[1]
    if chance[0] < 0.7:
        half = np.array([14 + 22 * chance[1], 8 + 12 * chance[2]])
        place = np.array([left[1] * (0.75 + 0.3 * chance[3]), left[0] + 9 + half[1], -10.0])
        draw_ellipsoid(target, camera, place, (half[0], half[1]), 22 + 26 * chance[4], angle=0.15)
    for _ in range(int(4 * chance[5])):
        far = rng.random(5)
        place = np.array([(0.15 + 0.7 * far[0]) * anatomy.thorax_width_mm / 2, high + 55 + 55 * far[1], -20.0])
        draw_ellipsoid(target, camera, place, (8 + 16 * far[2], 6 + 9 * far[3]), 10 + 18 * far[4], angle=far[0])


def draw_breasts(target: np.ndarray, camera: Camera, anatomy: Anatomy, high: float, traits: np.ndarray) -> None:
    """Breast tissue as attenuation: a teardrop with a visible lower edge and an upper end that fades into the chest."""
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


def draw_arms(layers: np.ndarray, camera: Camera, anatomy: Anatomy, acquisition: Acquisition) -> None:
    """The upper arms beside the chest, if the picture is wide enough to show them."""
    reach = anatomy.clavicle_length_mm + 26 + (10 if acquisition.view_position == "PA" else 0)
    thick = 30 + 13 * anatomy.muscle_relative
    arms = []
    for side in (-1, 1):
        line = np.array([[side * reach, 55.0, 10], [side * (reach + 22), 150, 5], [side * (reach + 46), 320, 0]])
        arms.append(Tube(skeleton.smooth(line, 24), np.full(24, thick)))
    drawn = np.zeros_like(layers[0])
    draw_tubes(drawn, camera, arms)
    # Where arm and trunk overlap in the picture they merge at the axilla: the thicker one is used.
    layers[0] += np.maximum(np.float32(0.9) * drawn - (layers[0] + layers[1]), 0)


def draw_disease(target: np.ndarray, subject: Subject, camera: Camera, *, lung: np.ndarray, high: float) -> None:
    """Soft tissue (in mm of muscle) that replaces air: fluid with a meniscus and patchy opacities at the bases."""
    disease, anatomy = subject.disease, subject.anatomy
    if not any(disease.effusion_mm) and not any(disease.opacity):
        return
    rows, columns = lung.shape
    size = max(rows, columns) / 512
    cloud = texture(subject.chance(5), lung.shape, octaves=(40, 20, 10, 5), weights=(1, 0.8, 0.5, 0.3), scale=size)
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


def texture(
    rng: np.random.Generator, shape: tuple[int, ...], octaves: Sequence[float], weights: Sequence[float], scale: float
) -> np.ndarray:
    """Smooth random structure of unit order, (rows, columns) float32; `octaves` are its wavelengths at 512 pixels."""
    total = np.zeros(shape, np.float32)
    for wavelength, weight in zip(octaves, weights, strict=True):
        rows, columns = (max(int(side / (wavelength * scale)) + 2, 3) for side in shape)
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return total / float(np.sqrt(np.sum(np.square(weights))))
