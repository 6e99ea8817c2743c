"""Makers and their models."""

from xray_mining.reporting.archive_results import ArchiveResults, cut_note, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 30


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row for each model of a maker."""
    frame = results.table("makers")
    if frame.is_empty() and "makers" in results.overview.cut:
        return Section("makers", "Makers and models", cut_note(results, "makers"))
    if frame.is_empty() or set(frame["manufacturer"]) == {"unknown"}:
        return Section("makers", "Makers and models", "No maker is stated in images of enough patients.")
    counts = [
        (_model(row["manufacturer"], row["manufacturer_model_name"]), row["images"])
        for row in frame.iter_rows(named=True)
    ]
    cut = " Not all are drawn: see the note of the table." if "makers" in results.overview.cut else ""
    figure = bars(
        "archive-makers-figure",
        counts,
        label="images",
        caption=f"Images by maker and model.{cut}",
        alternative=f"Images by maker and model: {said(counts)}.",
    )
    table = listed(
        results,
        "makers",
        "Makers and models",
        (
            ("manufacturer", Column("Maker")),
            ("manufacturer_model_name", Column("Model")),
            ("images", Column("Images", numeric=True)),
            ("patients", Column("Patients", numeric=True)),
            ("institutions", Column("Sites", numeric=True)),
        ),
        share_of=results.totals["images"],
    )
    return Section(
        "makers",
        "Makers and models",
        "If groups of patients come from different machines, a model can recognise the machine instead of the patient.",
        (Figures((figure,)), table),
    )


def _model(maker: str, model: str) -> str:
    if model == "unknown":
        return maker if maker != "unknown" else "not stated"
    return f"{maker} {model}"
