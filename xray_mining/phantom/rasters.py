"""Compiled line integrals: path lengths of solids and tubes along the rays to each pixel.

All maps are float32, (rows, columns); lengths are millimetres along the ray. Solids are closed formulas in the plane of
their own depth, each with its own magnification; tubes are polylines whose points were projected in perspective.
"""

import numpy as np
from numba import njit

ZERO_ROW = 160  # index of y = 0 (the lung apex) in the tables that give a thorax measure for each millimetre of height
TABLE = 760


@njit(cache=True, error_model="numpy", inline="always")
def _at(table: np.ndarray, y: float) -> float:
    place = min(max(y + ZERO_ROW, 0.0), TABLE - 2.0)
    low = int(place)
    share = place - low
    return table[low] * (1 - share) + table[low + 1] * share


@njit(cache=True, error_model="numpy", inline="always")
def _body(depth: float, distance: float, width: float) -> float:
    """Path through a body of half width `width` and half depth `depth`, at a distance from its middle."""
    ratio = distance / width
    return 2 * depth * np.sqrt(1 - ratio * ratio * ratio) if ratio < 1 else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _diaphragm(dome: np.ndarray, distance: float, width: float) -> float:
    """Height of the diaphragm at a distance from the midline; `dome` is a row of `solids`' domes."""
    top, apex, height, _, drop = dome
    if distance > apex:
        along = (distance - apex) / max(width - apex, 1e-3)
        return top + height * along * along * (0.75 + 0.25 * along)
    along = (apex - distance) / apex
    return top + drop * along * along


@njit(cache=True, error_model="numpy", inline="always")
def _cavity(  # noqa: PLR0917  compiled: no keywords
    distance: float, y: float, width: float, depth: float, edge: float, filling: float, dome: np.ndarray
) -> tuple[float, float, bool]:
    """Path through half of the thorax at a distance from the midline, through its mediastinum; whether lung is seen.

    `width` and `depth` are half axes of the cavity, `edge` and `filling` of the mediastinum.
    """
    ratio = distance / max(width, 1e-3)
    if ratio >= 1 or depth <= 0:
        return 0.0, 0.0, False
    air = 2 * depth * np.sqrt(1 - ratio * ratio * np.sqrt(ratio))
    near = distance / max(edge, 1e-3)
    central = filling * np.sqrt(1 - near * near) if near < 1 else 0.0
    surface = _diaphragm(dome, distance, width)
    if y > surface:
        below = (y - surface) / dome[2]
        air -= 2.2 * dome[3] * np.sqrt(np.sqrt(below * np.sqrt(below)))
    return air, central, near >= 1 and y <= surface


@njit(cache=True, error_model="numpy", inline="always")
def _heart(x: float, y: float, radius: np.ndarray, half_depth: float, lowest: float) -> float:
    """Path through the heart at (x, y) relative to its position; -1 outside its silhouette."""
    distance = np.sqrt(x * x + y * y)
    if distance >= lowest:
        return -1.0
    place = (np.arctan2(y, x) + np.pi) * (720 / (2 * np.pi))
    low = int(place)
    share = place - low
    inside = distance / (radius[low % 720] * (1 - share) + radius[(low + 1) % 720] * share)
    return 2 * half_depth * np.sqrt(1 - inside * inside * inside) if inside < 1 else -1.0


@njit(cache=True, error_model="numpy")
def solids(  # noqa: PLR0917  compiled: no keywords
    shape: tuple[int, int],
    spacing: float,
    centre: tuple[float, float],
    magnification: np.ndarray,
    shift: np.ndarray,
    tables: np.ndarray,
    domes: np.ndarray,
    heart_radius: np.ndarray,
    heart_place: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Muscle, fat and aerated lung path lengths, and the mask bit field (1 right lung, 2 left lung, 4 heart).

    `centre` is the (x, y) of the ray through the image centre; `magnification` and `shift` hold one value each for the
    thoracic cavity, the heart and the body; the rows of `tables` are midline x, half width of the right and the left
    cavity, half depth of the cavity, mediastinal edge right and left, half width and half depth of the muscle layer and
    of the body with its fat, and how much of the depth the mediastinum fills (2 = all). `domes` holds (apex y, apex x,
    height, half depth, medial drop) for right and left.
    `heart_radius` is the silhouette's radius at 720 angles about `heart_place` (x, y, half depth, lowest y).
    """
    rows, columns = shape
    muscle, fat, lung = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    mask = np.zeros(shape, np.uint8)
    for row in range(rows):
        v = (row + 0.5 - rows / 2) * spacing
        y = centre[1] + v / magnification[0]
        y_heart = centre[1] + v / magnification[1] - heart_place[1]
        y_body = centre[1] + v / magnification[2]
        middle = _at(tables[0], y)
        body_middle = _at(tables[0], y_body) * 0.5
        filling = _at(tables[10], y)
        right_width, left_width, depth = _at(tables[1], y), _at(tables[2], y), _at(tables[3], y)
        right_edge, left_edge = _at(tables[4], y), _at(tables[5], y)
        muscle_width, muscle_depth = _at(tables[6], y_body), _at(tables[7], y_body)
        skin_width, skin_depth = _at(tables[8], y_body), _at(tables[9], y_body)
        for column in range(columns):
            u = (column + 0.5 - columns / 2) * spacing
            x_body = centre[0] + u / magnification[2] + shift[2] - body_middle
            skin = _body(skin_depth, abs(x_body), skin_width)
            if skin > 0:
                inner = _body(muscle_depth, abs(x_body), muscle_width)
                muscle[row, column] = min(inner, skin)
                fat[row, column] = skin - min(inner, skin)
            x = centre[0] + u / magnification[0] + shift[0] - middle
            side = 0 if x < 0 else 1
            width, edge = (right_width, right_edge) if side == 0 else (left_width, left_edge)
            air, central, visible = _cavity(abs(x), y, width, depth, edge, filling * depth, domes[side])
            x_heart = centre[0] + u / magnification[1] + shift[1] - heart_place[0]
            heart = _heart(x_heart, y_heart, heart_radius, heart_place[2], heart_place[4])
            if heart >= 0:
                mask[row, column] = 4
                # The heart forms one body with the vessels above it: inside them it has no visible outline.
                central = np.sqrt(central * central + heart * heart)
            air -= central
            if air > 0:
                lung[row, column] = air
                if visible and mask[row, column] == 0:
                    mask[row, column] = 1 if side == 0 else 2
    return muscle, fat, lung, mask


@njit(cache=True, error_model="numpy", inline="always")
def _chord(square: float, radius: float) -> float:
    return 2 * np.sqrt(radius * radius - square) if square < radius * radius else 0.0


@njit(cache=True, error_model="numpy")
def _nearest(  # noqa: PLR0917  compiled: no keywords
    nearest: np.ndarray,
    owner: np.ndarray,
    row_low: int,
    column_low: int,
    points: np.ndarray,
    radius: np.ndarray,
    index: int,
    ends: tuple[bool, bool],
) -> None:
    """Write the index of a segment where it is nearer than the entry of `nearest`, in squared shares of its radius.

    (row_low, column_low) is the position of `nearest` in the picture; `ends` says which ends are cut straight.
    """
    rows, columns = nearest.shape
    x0, y0 = points[index, 0] - 0.5, points[index, 1] - 0.5
    dx, dy = points[index + 1, 0] - 0.5 - x0, points[index + 1, 1] - 0.5 - y0
    length = dx * dx + dy * dy
    reach = max(radius[index], radius[index + 1])
    low_row, high_row = min(y0, y0 + dy) - reach, max(y0, y0 + dy) + reach
    low_column, high_column = min(x0, x0 + dx) - reach, max(x0, x0 + dx) + reach
    for row in range(max(int(low_row), row_low), min(int(high_row) + 2, row_low + rows)):
        for column in range(max(int(low_column), column_low), min(int(high_column) + 2, column_low + columns)):
            along = ((column - x0) * dx + (row - y0) * dy) / length if length > 1e-9 else 0.0
            if (ends[0] and along < 0) or (ends[1] and along > 1):
                continue
            along = min(max(along, 0.0), 1.0)
            off_x, off_y = column - x0 - along * dx, row - y0 - along * dy
            here = radius[index] + along * (radius[index + 1] - radius[index])
            ratio = (off_x * off_x + off_y * off_y) / (here * here)
            if ratio < nearest[row - row_low, column - column_low]:
                nearest[row - row_low, column - column_low] = ratio
                owner[row - row_low, column - column_low] = index


@njit(cache=True, error_model="numpy")
def tubes(  # noqa: PLR0917  compiled: no keywords
    target: np.ndarray,
    marrow: np.ndarray,
    points: np.ndarray,
    radius: np.ndarray,
    stretch: np.ndarray,
    start: np.ndarray,
    cortex: float,
    flat: bool,
    weight: float,
) -> None:
    """Add `weight` times the path lengths of tubes to `target`: polylines in pixels with the radius at each point.

    `start` holds the first point of each tube and, last, the number of points. Within a tube the nearest segment is
    used, different tubes add up. With `cortex` > 0 `target` gets a shell of that thickness, and `marrow` its inside.
    `stretch` is the length of the ray in each segment relative to the chord, because the tube is tilted; `flat` cuts
    the ends straight.
    """
    rows, columns = target.shape
    for tube in range(start.size - 1):
        first, last = start[tube], start[tube + 1]
        if last - first < 2:
            continue
        widest = 0.0
        left, right, top, bottom = 1e9, -1e9, 1e9, -1e9
        for index in range(first, last):
            widest = max(widest, radius[index])
            left, right = min(left, points[index, 0]), max(right, points[index, 0])
            top, bottom = min(top, points[index, 1]), max(bottom, points[index, 1])
        column_low, column_high = max(int(left - widest) - 1, 0), min(int(right + widest) + 2, columns)
        row_low, row_high = max(int(top - widest) - 1, 0), min(int(bottom + widest) + 2, rows)
        if column_low >= column_high or row_low >= row_high:
            continue
        # Find the nearest point of the whole polyline before computing the path: else each joint of a shell shows as a
        # ring.
        nearest = np.ones((row_high - row_low, column_high - column_low), np.float32)
        owner = np.zeros(nearest.shape, np.int32)
        for index in range(first, last - 1):
            ends = flat and index == first, flat and index == last - 2
            _nearest(nearest, owner, row_low, column_low, points, radius, index, ends)
        for row in range(row_high - row_low):
            for column in range(column_high - column_low):
                ratio = nearest[row, column]
                if ratio < 1:
                    here = radius[owner[row, column]]
                    factor = weight * stretch[owner[row, column]]
                    path = 2 * here * np.sqrt(1 - ratio)
                    if cortex > 0:
                        inner = _chord(ratio * here * here, max(here - cortex, 0.0))
                        path -= inner
                        marrow[row_low + row, column_low + column] += factor * inner
                    target[row_low + row, column_low + column] += factor * path


@njit(cache=True, error_model="numpy")
def branches(target: np.ndarray, begin: np.ndarray, end: np.ndarray, radius: np.ndarray, factor: float) -> None:
    """Add `factor` times the path lengths of many short cylinders without end caps to `target`, all in pixels."""
    rows, columns = target.shape
    for index in range(begin.shape[0]):
        x0, y0 = begin[index, 0] - 0.5, begin[index, 1] - 0.5
        dx, dy = end[index, 0] - 0.5 - x0, end[index, 1] - 0.5 - y0
        length = dx * dx + dy * dy
        if length < 1e-6:
            continue
        # A vessel thinner than a pixel is drawn one pixel wide with the same cross-section.
        true = radius[index]
        reach = max(true, 0.75)
        weight = factor * (true * true) / (reach * reach)
        for row in range(max(int(min(y0, y0 + dy) - reach), 0), min(int(max(y0, y0 + dy) + reach) + 2, rows)):
            for column in range(max(int(min(x0, x0 + dx) - reach), 0), min(int(max(x0, x0 + dx) + reach) + 2, columns)):
                along = ((column - x0) * dx + (row - y0) * dy) / length
                if 0 <= along < 1:
                    off_x, off_y = column - x0 - along * dx, row - y0 - along * dy
                    target[row, column] += weight * _chord(off_x * off_x + off_y * off_y, reach)


@njit(cache=True, error_model="numpy")
def ellipses(target: np.ndarray, place: np.ndarray) -> None:
    """Add ellipsoids: rows of (x, y, half width, half height, all in pixels, angle in radians, greatest path)."""
    rows, columns = target.shape
    for index in range(place.shape[0]):
        x0, y0, half_width, half_height, angle, path = place[index]
        cosine, sine = np.cos(angle), np.sin(angle)
        reach = max(half_width, half_height)
        for row in range(max(int(y0 - reach) - 1, 0), min(int(y0 + reach) + 2, rows)):
            for column in range(max(int(x0 - reach) - 1, 0), min(int(x0 + reach) + 2, columns)):
                dx, dy = column + 0.5 - x0, row + 0.5 - y0
                a = (dx * cosine + dy * sine) / half_width
                b = (dy * cosine - dx * sine) / half_height
                square = a * a + b * b
                if square < 1:
                    target[row, column] += path * np.sqrt(1 - square)


@njit(cache=True, error_model="numpy")
def breasts(target: np.ndarray, place: np.ndarray) -> None:
    """Add teardrops to `target`: rows of (x, y, half width, half height in pixels, greatest value).

    Below the middle they end in an edge; above it they fade into the chest.
    """
    rows, columns = target.shape
    for index in range(place.shape[0]):
        x0, y0, half_width, half_height, path = place[index]
        for row in range(max(int(y0 - 1.55 * half_height), 0), min(int(y0 + 0.86 * half_height) + 2, rows)):
            y = (row + 0.5 - y0) / half_height
            y = y / 0.86 if y > 0 else y / 1.55
            power = 0.5 + 0.9 * min(max(-y / 0.7, 0.0), 1.0)
            for column in range(max(int(x0 - half_width), 0), min(int(x0 + half_width) + 2, columns)):
                x = (column + 0.5 - x0) / half_width
                square = 1 - x * x - y * y
                if square > 0:
                    target[row, column] += path * (np.sqrt(square) if y > 0 else square**power)


@njit(cache=True, error_model="numpy")
def attenuation(
    layers: np.ndarray, grain: np.ndarray, tissue: np.ndarray, hila: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Add up the attenuation along each ray: (rows, columns) float32, without unit.

    `layers` (9, rows, columns): muscle, fat, lung, vessels, disease, soft (already attenuation), cortex, trabeculae and
    air, lengths in mm; `hila` rows of (column, row, spread in pixels, added density); `coefficients`: muscle, fat,
    cortex and trabeculae per mm, lung and bone density.
    """
    _, rows, columns = layers.shape
    muscle, fat, hard, spongy, density, mineral = coefficients
    out = np.empty((rows, columns), np.float32)
    down, along = np.empty((rows, hila.shape[0])), np.empty((columns, hila.shape[0]))
    for index in range(hila.shape[0]):
        x, y, spread, added = hila[index]
        for row in range(rows):
            down[row, index] = added * np.exp(-0.5 * ((row - y) / (1.25 * spread)) ** 2)
        for column in range(columns):
            along[column, index] = np.exp(-0.5 * ((column - x) / spread) ** 2)
    for row in range(rows):
        for column in range(columns):
            flesh, grease, lung = layers[0, row, column], layers[1, row, column], layers[2, row, column]
            vessel = min(layers[3, row, column], lung)
            open_air = lung - vessel
            share = density + 0.018 * grain[row, column]
            for index in range(hila.shape[0]):
                share += down[row, index] * along[column, index]
            share = min(max(share, 0.05), 1.0)
            dense = min(open_air * share + layers[4, row, column], open_air)
            total = (muscle * flesh + fat * grease) * (1 + 0.020 * tissue[row, column])
            total += layers[5, row, column] - muscle * (open_air - dense)
            bone = hard * layers[6, row, column] + spongy * layers[7, row, column]
            total += mineral * bone * min((flesh + grease) / 30, 1.0) * (1 + 0.05 * grain[row, column])
            total -= muscle * 0.97 * min(layers[8, row, column], 0.45 * (flesh + grease))
            out[row, column] = max(total, 0.0)
    return out


@njit(cache=True, error_model="numpy")
def tone(picture: np.ndarray, low: float, scale: float, offset: float, gamma: float) -> np.ndarray:
    """A film-like tone curve with toe and shoulder: (rows, columns) float32, about 0 to 1."""
    rows, columns = picture.shape
    # The curve is tabulated over -0.1 to 1.7; larger and smaller values are metal or open air.
    steps = 2048
    table = np.empty(steps + 1, np.float32)
    for step in range(steps + 1):
        grey = max(-0.1 + 1.8 * step / steps, 0.0) ** gamma
        table[step] = (1 / (1 + np.exp(-4.6 * (grey - 0.5))) - 0.091) / 0.818
    out = np.empty((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            place = ((picture[row, column] - low) * scale + offset + 0.1) * (steps / 1.8)
            place = min(max(place, 0.0), steps - 1.0)
            index = int(place)
            share = place - index
            out[row, column] = table[index] * (1 - share) + table[index + 1] * share
    return out
