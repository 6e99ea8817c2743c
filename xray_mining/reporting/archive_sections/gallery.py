"""A few pictures of each sex and age."""

from xray_mining.reporting.archive_results import SEXES, ArchiveResults, band_words
from xray_mining.reporting.section import Block, Gallery, Picture, Section

ORDER = 80
BAND_YEARS = 10


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One gallery a sex, in the order of age."""
    title, least = "Pictures", results.overview.least_patients
    strata = results.table("strata").row(0, named=True)
    waiting = results.overview.private if not results.overview.unexamined else ()
    unasked = (
        f"{', '.join(waiting)}: private, and letters are declared by the header; pictures were not examined "
        f"(--show-unexamined shows them)"
        if waiting
        else ""
    )
    if not results.pictures:
        if not results.overview.has_pictures:
            why = "the workspace has no pixel store: the archive was ingested with --metadata-only"
        elif waiting and strata["strata"]:
            why = unasked
        elif strata["not_looked_at"] and not results.overview.unexamined:
            why = (
                f"of {strata['not_looked_at']:,} images no header says that they bear no letters (pictures were not "
                f"examined), and no sex and age band "
                f"holds {least} patients with others (--show-unexamined shows those of a public set)"
            )
        elif not strata["strata"]:
            why = "no frontal image with a known age and sex has a picture"
        else:
            why = f"no sex and age band holds {least} patients with a picture that may be shown"
        return Section("gallery", title, f"No picture is shown: {why}.")
    blocks: list[Block] = []
    for sex in dict.fromkeys(each.patient_sex for each in results.pictures):
        pictures = []
        for each in results.pictures:
            if each.patient_sex == sex:
                words = band_words(each.age_from, BAND_YEARS)
                alternative = f"Radiograph, {SEXES[sex].lower()}, {words} years"
                pictures.append(Picture(each.png, words, alternative))
        blocks.append(Gallery(f"archive-gallery-{sex.lower()}", SEXES[sex], tuple(pictures)))
    shown = len({(each.patient_sex, each.age_from) for each in results.pictures})
    missing = strata["strata"] - shown
    said = [f"Frontal pictures drawn by lot, one a patient, by sex and band of {BAND_YEARS} years."]
    if missing > 0:
        said.append(
            f"{missing:,} {'band' if missing == 1 else 'bands'} of fewer than {least} patients "
            f"{'is' if missing == 1 else 'are'} left out."
        )
    flagged, unseen = strata["left_out"], strata["not_looked_at"]
    if flagged:
        said.append(f"{flagged:,} images with a quality flag or letters in them are never shown.")
    if unseen and results.overview.unexamined:
        said.append(f"Of {unseen:,} of the others the header says nothing of letters.")
    elif unseen:
        said.append(f"{unseen:,} others, of which no header says that they bear no letters, are not shown.")
    if waiting:
        said.append(f"No picture is shown of {unasked}.")
    said.append("Letters are declared by the header; pictures were not examined.")
    return Section("gallery", title, " ".join(said), tuple(blocks))
