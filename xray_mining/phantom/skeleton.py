"""Bones and airways as three-dimensional tubes and small bodies, in millimetres.

Axes: x to the patient's left (the right side of the picture), y downwards from the lung apices, z from front to back
with 0 in the middle of the thorax.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xray_mining.phantom.anatomy import Anatomy

RIBS = 12
# Height of the thoracic vertebral bodies T1 to T12 and of the disc below each, in an adult of 169 cm (remembered).
VERTEBRA_MM = np.array([17.0, 18, 18.5, 19, 19.5, 20, 20.5, 21, 21.5, 22.5, 23.5, 24.5])
DISC_MM = np.array([4.5, 3.8, 3.5, 3.4, 3.4, 3.6, 3.9, 4.2, 4.6, 5.2, 6.0, 7.0])
# Descent of each rib from spine to cartilage, and its angular extent (degrees; 0 = back, 180 = front).
_RIB_DROP_MM = np.array([34.0, 52, 72, 88, 100, 108, 114, 114, 108, 96, 70, 40])
_RIB_END_DEGREES = np.array([138.0, 146, 152, 154, 154, 152, 148, 142, 136, 128, 98, 66])


@dataclass(frozen=True, slots=True)
class Tube:
    """A polyline with a radius at each point; cortex in mm makes it hollow (0: solid)."""

    points_mm: np.ndarray  # (n, 3)
    radius_mm: np.ndarray  # (n,)
    cortex_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """The inside of the rib cage at one visit, as functions of height y in mm."""

    half_width_mm: Callable[[np.ndarray], np.ndarray]
    half_depth_mm: Callable[[np.ndarray], np.ndarray]
    middle_mm: Callable[[np.ndarray], np.ndarray]
    vertebra_mm: np.ndarray  # y of the middle of C6, C7, T1 … T12, L1, L2
    vertebra_height_mm: np.ndarray


def vertebrae(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """Middle and height of the vertebral bodies C6 to L2 along y, shortened by height, kyphosis and osteoporosis."""
    scale = anatomy.body_height_cm / 169 * np.cos(np.radians(0.42 * anatomy.kyphosis_degrees))
    scale *= 1.035 - 0.05 * max(0.0, 0.9 - anatomy.bone_density_relative)
    heights = np.concatenate([[14.0, 15.5], VERTEBRA_MM, [26.0, 27.0]]) * scale
    discs = np.concatenate([[4.5, 4.5], DISC_MM, [8.0, 8.5]]) * scale
    bottoms = np.cumsum(heights + discs) - discs
    middles = bottoms - heights / 2
    return middles - middles[2] - 6.0, heights


def ribs(anatomy: Anatomy, frame: Frame, lengths: np.ndarray) -> tuple[list[Tube], list[Tube]]:
    """The twelve pairs of ribs (each as a back and a front tube) and the calcified share of their cartilages.

    `lengths` (12, 4) are the person's own small deviations of level, descent, radius and reach, about 0.
    """
    bones: list[Tube] = []
    cartilages: list[Tube] = []
    for side in (-1, 1):
        for number in range(RIBS):
            own = lengths[number]
            start, end = np.radians(13.0), np.radians(_RIB_END_DEGREES[number] + 3 * own[3])
            angle = np.linspace(start, end, 42)
            share = (angle - start) / (end - start)
            drop = (
                _RIB_DROP_MM[number] * anatomy.rib_slope_relative * (1 + 0.03 * own[1]) * anatomy.lung_height_mm / 246
            )
            begin = frame.vertebra_mm[2 + number] - 0.25 * frame.vertebra_height_mm[2 + number] + 1.0 * own[0]
            y = begin + drop * (0.42 * share + 0.58 * share**2.0) - 6.0 * np.sin(np.pi * np.minimum(share * 2.2, 1.0))
            level = np.maximum(y, 6.0 + 3 * number)
            width = frame.half_width_mm(level) + 4.0
            depth = frame.half_depth_mm(level) + 5.0
            sine, cosine = np.sin(angle), np.cos(angle)
            x = side * width * np.sign(sine) * np.abs(sine) ** 0.86
            z = depth * np.sign(cosine) * np.abs(cosine) ** 0.9
            x = x + frame.middle_mm(y)
            height = anatomy.rib_height_mm / 2 * (0.86 + 0.04 * own[2]) * (0.88 if number in (0, 10, 11) else 1.0)
            radius = height * (0.72 + 0.38 * np.minimum(share * 3, 1.0) + 0.14 * share)
            points = np.stack([x, y, z], axis=1)
            turn = int(np.searchsorted(angle, np.pi / 2))
            if turn < 41:
                bones += [
                    Tube(points[: turn + 1], radius[: turn + 1], anatomy.rib_cortex_mm),
                    Tube(points[turn:], radius[turn:], anatomy.rib_cortex_mm * 0.85),
                ]
            else:
                bones.append(Tube(points, radius, anatomy.rib_cortex_mm))
            if number < 10:
                cartilages += _cartilage(points[-1], side, number, anatomy)
    return bones, cartilages


def _cartilage(end: np.ndarray, side: int, number: int, anatomy: Anatomy) -> list[Tube]:
    """The calcified part of a costal cartilage: from the rib's end towards the sternum."""
    calcified = anatomy.cartilage_calcification_fraction * (1.25 if number == 0 else 1.0)
    if calcified < 0.03:
        return []
    sternum = np.array([side * 17.0, end[1] + (8.0 if number < 2 else -6.0 * (number - 2) - 4.0), end[2] - 4])
    share = np.linspace(0, min(calcified, 1.0) * 0.9, 14)[:, None]
    line = end + share * (sternum - end)
    line[:, 1] += 7.0 * np.sin(np.pi * share[:, 0]) * (number >= 3)
    radius = anatomy.rib_height_mm * 0.42 * (1 - 0.3 * share[:, 0])
    return [Tube(line, radius, 0.5 + 1.1 * calcified)]


def shoulder_girdle(anatomy: Anatomy, frame: Frame, spread_mm: float, lift_mm: float) -> list[Tube]:
    """Clavicles, humeri, borders of the scapulae; `spread_mm` moves the scapulae off the lungs (arms forward)."""
    tubes: list[Tube] = []
    depth = float(frame.half_depth_mm(np.array([90.0]))[0])
    length, half = anatomy.clavicle_length_mm, anatomy.clavicle_width_mm / 2
    for side in (-1, 1):
        share = np.linspace(0, 1, 30)
        x = side * (11 + length * 0.93 * share)
        y = 33 - lift_mm * share - 16 * share - 7.5 * np.sin(2 * np.pi * share) * 0.9
        z = -depth * 0.72 + (depth * 0.72 + 8) * share**1.2 - 7 * np.sin(2 * np.pi * share)
        radius = half * (1.0 + 0.42 * np.exp(-share / 0.09) + 0.12 * np.exp(-((share - 1) ** 2) / 0.02))
        tubes.append(Tube(np.stack([x, y, z], 1), radius, 1.9 * anatomy.rib_cortex_mm))
        tubes += [
            Tube(line, radius_mm, cortex)
            for line, radius_mm, cortex in _scapula(side, length, anatomy, spread_mm, lift_mm)
        ]
    return tubes


def scapula_outline(side: int, length: float, spread_mm: float, lift_mm: float) -> np.ndarray:
    """The blade of the scapula as a polygon (n, 3): superior angle, glenoid, inferior angle, medial border."""
    inner = length * 0.52 + spread_mm
    outline = [
        (inner + 8, 18.0), (inner + 38, 20.0), (length + 4, 38.0), (length + 6, 62.0), (length - 6, 84.0),
        (inner + 40, 128.0), (inner + 24, 158.0), (inner + 12, 152.0), (inner + 2, 100.0), (inner, 52.0),
    ]  # fmt: skip
    return np.array([(side * x, y - lift_mm * 0.7, 62.0) for x, y in outline])


def _scapula(
    side: int, length: float, anatomy: Anatomy, spread_mm: float, lift_mm: float
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    blade = scapula_outline(side, length, spread_mm, lift_mm)
    cortex = 1.3 * anatomy.rib_cortex_mm
    lateral, medial = blade[3:7], blade[[6, 7, 8, 9, 0]]
    spine = np.array([blade[9], blade[9] * 0.6 + blade[2] * 0.4, _off(blade[2], side * 14, -24, -20)])
    coracoid = blade[2] + np.array([[side * -14.0, -6, -20], [side * -4.0, 2, -34], [side * 6.0, 8, -42]])
    head = np.array([side * (length + 27.0), 48.0 - lift_mm * 0.7, 26.0])
    shaft = np.array([head, _off(head, side * 8, 30, 2), _off(head, side * 26, 120, 6), _off(head, side * 44, 250, 6)])
    return [
        (smooth(lateral), np.full(24, 4.0), cortex * 1.3),
        (smooth(medial), np.full(24, 1.8), 0.0),
        (smooth(spine), np.linspace(3.0, 7.5, 24), cortex),
        (smooth(coracoid), np.linspace(8.0, 6.0, 24), cortex),
        (smooth(shaft), np.interp(np.linspace(0, 1, 24), [0, 0.12, 0.3, 1], [22.0, 19.0, 12.5, 11.5]), 2.6 * cortex),
    ]


def _off(point: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    return point + np.array([x, y, z])


def smooth(corners: np.ndarray, count: int = 24) -> np.ndarray:
    """A Catmull-Rom curve through corners (n, 3) with `count` points."""
    padded = np.concatenate([2 * corners[:1] - corners[1:2], corners, 2 * corners[-1:] - corners[-2:-1]])
    place = np.linspace(0, len(corners) - 1 - 1e-9, count)
    index, t = place.astype(int), (place % 1)[:, None]
    a, b, c, d = (padded[index + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def airways(anatomy: Anatomy, frame: Frame, lung_height_mm: float) -> list[Tube]:
    """Air of the trachea and the main bronchi."""
    width = anatomy.trachea_width_mm / 2
    carina = np.array([-2.0, 0.37 * lung_height_mm, 8.0])
    bend = 2.0 + 0.12 * anatomy.aorta_unfolding_mm
    trachea = np.array([[0.0, -110, -8], [0.0, -30, -8], [-bend, 0.24 * lung_height_mm, 0], carina])
    tubes = [Tube(smooth(trachea, 30), np.full(30, width))]
    for side, reach, fall in ((-1, 30.0, 26.0), (1, 44.0, 25.0)):
        end = _off(carina, side * reach, fall, 4)
        line = np.array([carina, _off((carina + end) / 2, 0, -1.5, 0), end])
        tubes.append(Tube(smooth(line, 16), np.linspace(0.66, 0.5, 16) * width))
        for across, down in ((22.0, -26.0), (16.0, 26.0)):
            branch = np.array([end, _off(end, side * across, down, 6)])
            tubes.append(Tube(smooth(branch, 8), np.linspace(0.42, 0.22, 8) * width))
    return [Tube(each.points_mm + _along(frame, each.points_mm), each.radius_mm) for each in tubes]


def aorta(anatomy: Anatomy, frame: Frame, lung_height_mm: float) -> tuple[Tube, np.ndarray]:
    """The aorta from its root over the arch to the diaphragm, and the middle of the knob."""
    high, radius, moved = lung_height_mm, anatomy.aortic_arch_width_mm / 2, anatomy.aorta_unfolding_mm
    knob = np.array([20.0 + 0.45 * moved, 0.325 * high, 26.0])
    path = np.array([
        [-10 - 0.3 * moved, 0.55 * high, -26], [-13 - 0.35 * moved, 0.42 * high, -24], [-6, 0.325 * high, -10],
        [8 + 0.2 * moved, 0.305 * high, 10], knob, [19 + 0.75 * moved, 0.41 * high, 42], [17 + moved, 0.56 * high, 48],
        [12 + 0.9 * moved, 0.80 * high, 46], [6 + 0.4 * moved, 1.05 * high, 40],
    ])  # fmt: skip
    line = smooth(path, 48)
    line += _along(frame, line)
    sizes = radius * np.interp(np.linspace(0, 1, 48), [0, 0.3, 0.5, 0.65, 1], [1.1, 1.05, 1.0, 0.84, 0.74])
    return Tube(line, sizes), knob + _along(frame, knob[None])[0]


def _along(frame: Frame, points: np.ndarray) -> np.ndarray:
    moved = np.zeros_like(points)
    moved[:, 0] = frame.middle_mm(points[:, 1])
    return moved
