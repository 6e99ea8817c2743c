"""A few pictures of each sex and age."""

from xray_mining.reporting.archive_results import SEXES, ArchiveResults, band_words
from xray_mining.reporting.section import Block, Gallery, Picture, Section

ORDER = 80
BAND_YEARS = 10


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One gallery for each sex, in order of age; without pictures the reason."""
    title, least = "Pictures", results.overview.least_patients
    strata = results.table("strata").row(0, named=True)
    private = results.overview.private if not results.overview.unexamined else ()
    # Headers may be wrong about burned-in text, so the owner of a private archive must permit its pictures.
    not_permitted = (
        f"pictures of {', '.join(private)} (private) are not shown without --show-unexamined, because burned-in text "
        f"is declared by the header; pictures were not examined"
    )
    if not results.pictures:
        if not results.overview.has_pictures:
            why = "the workspace has no pixel store: the archive was ingested with --metadata-only"
        elif private and strata["strata"]:
            why = not_permitted
        elif strata["not_looked_at"] and not results.overview.unexamined:
            why = (
                f"the headers of {strata['not_looked_at']:,} images do not say that they are free of burned-in text "
                f"(pictures were not examined), and without them no sex and age band has {least} patients "
                f"(--show-unexamined shows those of a public set)"
            )
        elif not strata["strata"]:
            why = "no frontal image with a known age and sex has a picture"
        else:
            why = f"no sex and age band has {least} patients with a picture that may be shown"
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
    said = [
        f"Frontal pictures, chosen at random, at most one of each patient, by sex and age band ({BAND_YEARS} years)."
    ]
    if missing > 0:
        said.append(
            f"{missing:,} {'band' if missing == 1 else 'bands'} of fewer than {least} patients "
            f"{'is' if missing == 1 else 'are'} left out."
        )
    flagged, unseen = strata["left_out"], strata["not_looked_at"]
    if flagged:
        said.append(f"{flagged:,} images with a quality flag or burned-in text are never shown.")
    if unseen and results.overview.unexamined:
        said.append(f"The headers of {unseen:,} other images say nothing about burned-in text.")
    elif unseen:
        said.append(
            f"{unseen:,} other images are not shown, because their headers do not say that they are free of burned-in "
            f"text."
        )
    if private:
        said.append(f"{not_permitted[0].upper()}{not_permitted[1:]}.")
    else:
        said.append("Burned-in text is declared by the header; pictures were not examined.")
    return Section("gallery", title, " ".join(said), tuple(blocks))
