"""Sites (institutions), without their names."""

from xray_mining.reporting.archive_results import ArchiveResults, cut_note, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import Column, Figures, Section

ORDER = 35


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row for each site."""
    frame = results.table("institutions")
    # Without rows, either all sites have too few patients (then say so), or no image states a site.
    if frame.is_empty() and "institutions" in results.overview.cut:
        return Section("sites", "Sites", cut_note(results, "institutions"))
    if frame["institution_key"].drop_nulls().is_empty():
        return Section("sites", "Sites", "No institution is stated in images of enough patients.")
    counts = [(_site(row["institution_key"]), row["images"]) for row in frame.iter_rows(named=True)]
    cut = " Not all are drawn: see the note of the table." if "institutions" in results.overview.cut else ""
    figure = bars(
        "archive-sites-figure",
        counts,
        label="images",
        caption=f"Images by site; sites are named by the first digits of their keys.{cut}",
        alternative=f"Images by site: {said(counts)}.",
    )
    heads = [
        ("institution_key", Column("Site")),
        ("images", Column("Images", numeric=True)),
        ("patients", Column("Patients", numeric=True)),
        ("median_age_years", Column("Median age, years", numeric=True)),
        ("share_of_males", Column("Men", numeric=True)),
    ]
    if results.several:
        heads.insert(1, ("archive", Column("Archive")))
    table = listed(
        results,
        "institutions",
        "Sites",
        heads,
        words={
            "institution_key": _site,
            "share_of_males": lambda share: "–" if share is None else number(share, 1, percent=True),
        },
        share_of=results.totals["images"],
    )
    return Section(
        "sites",
        "Sites",
        "If the patients of sites differ in age or sex, a model can recognise the site instead of the patient.",
        (Figures((figure,)), table),
    )


def _site(key: str | None) -> str:
    return "not stated" if key is None else f"Site {key[:8]}"
