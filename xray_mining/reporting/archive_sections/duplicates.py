"""Files that show the same picture as another file."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Block, Column, Figures, Section, Text

ORDER = 50
_REASONS = {
    "same_instance": "the same instance number",
    "same_pixels": "the same pixels with another instance number",
}


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """Duplicates by reason, and the number of near-duplicates."""
    frame, near = results.table("duplicates"), results.table("near_duplicates").row(0, named=True)
    # Files of all archives are summed by reason in the figure; the table has them by archive.
    reasons = dict.fromkeys(_REASONS, 0.0)
    for row in frame.iter_rows(named=True):
        reasons[row["reason"]] = reasons.get(row["reason"], 0.0) + row["files"]
    counts = [
        *((_REASONS.get(reason, reason.replace("_", " ")), value) for reason, value in reasons.items()),
        ("nearly the same, both kept", float(near["images"] - near["exposures"])),
        ("nearly the same, of two patients", float(near["exposures_of_several_patients"])),
    ]
    figure = bars(
        "archive-duplicates-figure",
        counts,
        label="files, images or exposures",
        caption="Duplicates are left out. Near-duplicates are kept; the SQL of a cohort can leave them out.",
        alternative=f"Duplicates: {said(counts)}.",
        colour="orange",
    )
    blocks: list[Block] = [Figures((figure,))] if any(value for _, value in counts) else []
    if frame.height:
        heads = [
            ("reason", Column("What is equal")),
            ("files", Column("Files left out", numeric=True)),
            ("keepers", Column("Images they repeat", numeric=True)),
        ]
        if results.several:
            heads.insert(0, ("archive", Column("Archive")))
        words = {"reason": lambda reason: _REASONS.get(reason, reason)}
        blocks.append(listed(results, "duplicates", "Duplicates", heads, words=words))
    if near["pairs"]:
        blocks.append(
            Text(
                f"Kept images that show the same exposure with different processing: {near['images']:,} images of "
                f"{near['exposures']:,} {'exposure' if near['exposures'] == 1 else 'exposures'}, in "
                f"{near['pairs']:,} {'pair' if near['pairs'] == 1 else 'pairs'}. Exposures with ids of several "
                f"patients: {near['exposures_of_several_patients']:,}."
            )
        )
    else:
        blocks.append(Text("No near-duplicates are recorded. This means nothing if no search for them was run."))
    left_out = int(frame["files"].sum())
    sentence = (
        f"{left_out:,} {'file shows' if left_out == 1 else 'files show'} the same picture as an earlier file; the "
        f"earliest file is kept."
        if left_out
        else "No file shows the same picture as an earlier file."
    )
    return Section("duplicates", "Duplicates", sentence, tuple(blocks))
