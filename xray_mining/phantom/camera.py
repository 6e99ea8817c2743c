"""The perspective of one exposure."""

import numpy as np

from xray_mining.phantom.acquisition import Acquisition
from xray_mining.phantom.anatomy import Anatomy


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
        """Magnification of an object at depth z."""
        toward = z if self.acquisition.view_position == "PA" else -np.asarray(z)
        distance = self.half_depth + toward + self.acquisition.gap_mm
        return self.acquisition.source_distance_mm / (self.acquisition.source_distance_mm - distance)

    def shift(self, z: float) -> float:
        """Shift of a solid at depth z by the person's rotation, to be subtracted from its x."""
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
