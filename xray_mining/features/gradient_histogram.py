"""Histograms of gradient directions in cells, normalised in blocks (Dalal and Triggs 2005), at several scales."""

from functools import cache

import numpy as np

from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import Array, Picture
from xray_mining.features.registry import feature
from xray_mining.kernels import compiled
from xray_mining.sets.instrument import Column

_DIRECTIONS = 9


@cache
def _places() -> Array:
    """Undirected direction of a gradient (down + 255, right + 255), (511, 511) float32 in [0, 9)."""
    steps = np.arange(-255, 256)
    angle = np.arctan2(steps[:, None], steps[None, :]) / np.pi * _DIRECTIONS
    return (angle % _DIRECTIONS).astype(np.float32) % np.float32(_DIRECTIONS)


@compiled
def cell_histograms(values: Array, cells: int, places: Array) -> Array:
    """Gradient magnitudes by cell and undirected direction, (cells, cells, 9) float64; votes shared by two directions.

    Central differences inside; border pixels have none and are left out. `places` is the result of `_places`.
    """
    height, width = values.shape
    found = np.zeros((cells, cells, 9))
    for row in range(1, height - 1):
        cell_row = row * cells // height
        for column in range(1, width - 1):
            down = np.int64(values[row + 1, column]) - np.int64(values[row - 1, column])
            right = np.int64(values[row, column + 1]) - np.int64(values[row, column - 1])
            if down == 0 and right == 0:
                continue
            size = np.sqrt(np.float64(down * down + right * right))
            place = places[down + 255, right + 255]
            low = int(place)
            share = place - low
            cell_column = column * cells // width
            found[cell_row, cell_column, low % 9] += size * (1 - share)
            found[cell_row, cell_column, (low + 1) % 9] += size * share
    return found


def block_normalised(cells: Array) -> Array:
    """Each cell divided by the energy of each block of 2 × 2 cells that contains it, averaged, clipped at 0.2.

    (cells, cells, 9) → (cells, cells, 9): the four normalisations of Dalal and Triggs, averaged as in Felzenszwalb
    2010, so that a cell has nine numbers and not thirty-six.
    """
    energy = np.pad((cells**2).sum(axis=2), 1, mode="edge")
    blocks = energy[:-1, :-1] + energy[1:, :-1] + energy[:-1, 1:] + energy[1:, 1:]
    found = np.zeros_like(cells)
    for rows in (slice(0, -1), slice(1, None)):
        for columns in (slice(0, -1), slice(1, None)):
            norm = np.sqrt(blocks[rows, columns])[:, :, None]
            share = np.divide(cells, norm, out=np.zeros_like(cells), where=norm > 0)
            found += np.minimum(share, 0.2) / 4
    return found


def _columns(options: FeatureOptions) -> list[Column]:
    return [
        Column(f"gradient_histogram_{cells}x{cells}_{row}_{column}_{direction * 180 // _DIRECTIONS}deg")
        for cells in options.gradient_cells
        for row in range(cells)
        for column in range(cells)
        for direction in range(_DIRECTIONS)
    ]


@feature(_columns)
def gradient_histogram(picture: Picture, options: FeatureOptions) -> Array:
    """Nine directions per cell, in a grid over the radiograph without its padding; nan where nothing has an edge."""
    blocks = []
    content = np.ascontiguousarray(picture.content)
    for cells in options.gradient_cells:
        if min(content.shape) < max(3, cells):
            blocks.append(np.full(cells * cells * _DIRECTIONS, np.nan))
            continue
        found = cell_histograms(content, cells, _places())
        blocks.append(block_normalised(found).ravel() if found.any() else np.full(found.size, np.nan))
    return np.concatenate(blocks)
