"""Make docs/figures/phantom_beside_real.png: real and phantom radiographs with their greys and power spectra.

    python docs/make_phantom_figure.py SHARED_FOLDER

The folder holds data/nih-cxr14-512 and data/nih-cxr14-64px (NIH ChestX-ray14, no restrictions, attribution below).
"""

import sys
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np

from xray_mining.phantom.plant import Patient
from xray_mining.phantom.population import Parameters, plan_patient
from xray_mining.phantom.projection import Subject, project

mpl.use("Agg")
import matplotlib.pyplot as plt

CREDIT = "Real: NIH Clinical Center, ChestX-ray14 (Wang et al., CVPR 2017; nihcc.app.box.com/v/ChestXray-NIHCC)"
REAL, PHANTOM = "#0072b2", "#d55e00"
PATIENTS = 120


def phantom(patient: Patient, number: int, side: int) -> np.ndarray:
    """One phantom radiograph as it is meant to be shown, (side, side) uint8, the shorter side filling the square."""
    visit = patient.visits[0]
    subject = Subject(patient.person.anatomy(patient.age_years), (1, number, 3))
    drawn = project(subject, visit.acquisition, 512, np.random.default_rng([1, number]))
    centre, width = drawn.window
    return square((np.clip((drawn.values - (centre - width / 2)) / width, 0, 1) * 255).astype(np.uint8), side)


def square(image: np.ndarray, side: int) -> np.ndarray:
    """The middle square of an image, resized."""
    short = min(image.shape)
    top, left = (image.shape[0] - short) // 2, (image.shape[1] - short) // 2
    return cv2.resize(image[top : top + short, left : left + short], (side, side), interpolation=cv2.INTER_AREA)


def spectrum(image: np.ndarray) -> np.ndarray:
    """Share of the power at 1, 2, … cycles a picture, rings averaged."""
    side = image.shape[0]
    values = (image - image.mean()) * np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fftshift(np.fft.fft2(values))) ** 2
    y, x = np.indices(power.shape)
    radius = np.hypot(x - side // 2, y - side // 2).astype(int)
    rings = np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel())
    return rings[1 : side // 2] / rings[1 : side // 2].sum()


def histogram(image: np.ndarray) -> np.ndarray:
    """Share of the pixels in 16 grey classes."""
    return np.bincount((image // 16).ravel(), minlength=16) / image.size


def band(axes: plt.Axes, x: np.ndarray, rows: list[np.ndarray], colour: str, label: str) -> None:
    """Median and 5 to 95 % of many curves."""
    low, middle, high = np.percentile(rows, [5, 50, 95], axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, middle, color=colour, label=label)


def main(shared: Path) -> None:
    """Draw the figure from the real radiographs in `shared` and from the phantom of seed 1."""
    large = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted((shared / "data/nih-cxr14-512/images").iterdir())
    ]
    small = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for path in sorted((shared / "data/nih-cxr14-64px/images").iterdir())
    ]
    people = [plan_patient(Parameters(PATIENTS, 1), number)[0] for number in range(PATIENTS)]
    ours = [phantom(patient, number, 512) for number, patient in enumerate(people)]
    figure, axes = plt.subplots(3, 4, figsize=(11, 9), layout="constrained")
    for column, index in enumerate((0, 1, 4, 7)):
        axes[0, column].imshow(square(large[index], 320), cmap="gray", vmin=0, vmax=255)
        axes[0, column].set_title("real", fontsize=9)
    young = sorted(range(PATIENTS), key=lambda number: people[number].age_years)
    shown = [
        next(n for n in young[at:] if people[n].person.sex == sex)
        for at, sex in ((8, "F"), (35, "M"), (75, "F"), (108, "M"))
    ]
    for column, number in enumerate(shown):
        patient = people[number]
        view = patient.visits[0].acquisition.view_position
        axes[1, column].imshow(square(ours[number], 320), cmap="gray", vmin=0, vmax=255)
        axes[1, column].set_title(f"phantom, {patient.person.sex} {patient.age_years:.0f}, {view}", fontsize=9)
    for each in axes[:2].ravel():
        each.set_axis_off()
    for each in axes[2]:
        each.remove()
    grid = axes[2, 0].get_gridspec()
    left, right = figure.add_subplot(grid[2, :2]), figure.add_subplot(grid[2, 2:])
    greys = np.arange(16) * 16 + 8
    band(left, greys, [histogram(each) for each in small], REAL, f"real ({len(small)} at 64 px)")
    band(left, greys, [histogram(square(each, 64)) for each in ours], PHANTOM, f"phantom ({PATIENTS})")
    left.set(xlabel="grey (0 black, 255 white)", ylabel="share of pixels")
    cycles = np.arange(1, 32)
    band(right, cycles, [spectrum(each) for each in small], REAL, "real, 64 px")
    band(right, cycles, [spectrum(square(each, 64)) for each in ours], PHANTOM, "phantom")
    fine = np.arange(20, 256)
    band(right, fine, [spectrum(square(each, 512))[19:] for each in large], REAL, "real, 512 px")
    band(right, fine, [spectrum(each)[19:] for each in ours], PHANTOM, "phantom, 512 px")
    right.lines[2].set_linestyle("--")
    right.lines[3].set_linestyle("--")
    right.set(xscale="log", yscale="log", xlabel="cycles a picture", ylabel="share of power")
    for each in (left, right):
        each.legend(frameon=False, fontsize=8)
        each.spines[["top", "right"]].set_visible(False)
    figure.text(0.005, 0.002, CREDIT + "; lines: median, bands: 5 to 95 %", fontsize=7, va="bottom")
    figure.get_layout_engine().set(rect=(0, 0.02, 1, 0.98))
    figure.savefig(Path(__file__).parent / "figures/phantom_beside_real.png", dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
