"""Number of images of each patient."""

from xray_mining.reporting.archive_results import ArchiveResults, listed
from xray_mining.reporting.count_figures import columns
from xray_mining.reporting.section import Cell, Column, Figures, Section

ORDER = 65
TOP = 20


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One column and one row for each number of images."""
    frame = results.table("images_per_patient")
    title = "Images per patient"
    if frame.is_empty():
        return Section(
            "images-per-patient", title, "No image states a patient, so images cannot be counted by patient."
        )
    counts = [(row["images_up_to_20"], row["patients"]) for row in frame.iter_rows(named=True)]
    figure = columns(
        "archive-images-per-patient-figure",
        counts,
        label="patients",
        across="images of a patient",
        caption=f"Patients by their number of images; {TOP} means {TOP} or more.",
        alternative="Patients by number of images: "
        + "; ".join(
            f"{count} images {'hidden' if patients is None else f'{patients:,}'}" for count, patients in counts
        ),
    )
    table = listed(
        results,
        "images_per_patient",
        "Patients by number of images",
        (("images_up_to_20", Column("Images")), ("patients", Column("Patients", numeric=True))),
        words={
            "images_up_to_20": lambda count: Cell(
                f"{count} or more" if count >= TOP else str(count), value=float(count)
            )
        },
    )
    patients, images = results.totals["patients"], results.totals["images"] - results.totals["images_without_patient"]
    return Section(
        "images-per-patient",
        title,
        f"{images:,} images of {patients:,} patients: {images / max(patients, 1):.1f} each, on average.",
        (Figures((figure,)), table),
    )
