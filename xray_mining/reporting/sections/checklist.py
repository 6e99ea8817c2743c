"""CLAIM, the checklist for artificial intelligence in medical imaging, filled in as far as the tables permit."""

from collections.abc import Callable

import polars as pl

from xray_mining.records.small_counts import told
from xray_mining.reporting.metrics import metric_of
from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Cell, Column, Row, Section, Table
from xray_mining.reporting.sections import agreement, calibration, operating_points
from xray_mining.reporting.sections.comparison import how_chosen, over_rotations

ORDER = 95
STATISTICS = {
    "BCa": "BCa bootstrap over patients",
    "DeLong": "DeLong",
    "Obuchowski": "Obuchowski for several images of a patient",
    "Newcombe": "Newcombe",
    "infinitesimal jackknife": "infinitesimal jackknife",
    "permutation": "permutation of paired errors",
    "McNemar": "McNemar",
    "Tango": "Tango's score for pairs",
    "Wilson": "Wilson's score, clustered by patient",
    "Woodruff": "Woodruff",
    "Fisher z": "Fisher z by influence functions",
    "sandwich": "sandwich variance by patient",
    "Student": "Student with variance by patient",
}
"""Statistical methods: a part of the column `method` of the estimates, and the name for a paper."""
SCREENS = ("FAIR001", "SHORT003")
"""Audits whose p values are adjusted by Benjamini and Hochberg; all others are adjusted by Holm."""


_METRICS = {
    "agreement": agreement.METRICS,
    "operating-points": operating_points.METRICS,
    "calibration": calibration.METRICS,
}
"""Metrics in the tables of a section, by its anchor."""


class Partly(str):
    """An answer to a part of the item; the authors must add the rest."""

    __slots__ = ()


def applies(results: Results) -> bool:
    """Always."""
    return True


def _steps(results: Results) -> str:
    return "; ".join(
        f"{results.cohort_words(cohort['cohort'])}: " + ", then ".join(str(step["words"]) for step in cohort["steps"])
        for cohort in results.cohorts
        if cohort.get("steps")
    )


def _sources(results: Results) -> str:
    archives = results.table_one.filter(results.table_one["variable"] == "archive")["level"].unique().sort().to_list()
    return f"Archives: {', '.join(archives)}." if archives else ""


def _partitions(results: Results) -> str:
    said = []
    for cohort in results.cohorts:
        name = results.cohort_words(cohort["cohort"])
        if cohort.get("split_given"):
            said.append(f"{name}: given by the cohort's SQL")
        else:
            said.append(
                f"{name}: {cohort.get('folds')} folds by a digest of patient id and salt '{cohort.get('salt')}'"
            )
    return "; ".join(said) + "." if said else ""


def _identity(results: Results) -> str:
    if "ingest" not in set(results.ledger["stage"]):
        return ""
    said = "Ingest (see the ledger) replaced identifiers by keyed digests."
    rows = results.table_one.filter((pl.col("variable") == "burned_in_text") & (pl.col("column") == "all"))
    letters = ", ".join(
        f"{row['level']} {'hidden' if row['hidden'] else format(row['patients'], ',')}"
        for row in rows.sort("level_order").iter_rows(named=True)
    )
    if letters:
        said += f" Burned-in text, by patient: {letters} (declared by the header; pictures were not examined)."
    shown = results.pictures.filter(pl.col("kind") == "case").height
    return f"{said} Radiographs of single patients on this page: {shown}."


def _missing(results: Results) -> str:
    said = []
    for task in results.tasks:
        if task.unanswered is None:
            return ""
        least = results.notes.least_patients
        # Evaluations of earlier versions have small numbers too.
        roles = ", ".join(
            f"{role} of fewer than {least} patients" if count is None else f"{role} {told(count, least)}"
            for role, count in task.unanswered.items()
            if count != 0
        )
        said.append(
            f"{task.words}: {f'unknown in images ({roles}), which are not scored' if roles else 'known in all images'}"
        )
    return "; ".join(said) + "." if said else ""


def _disjoint(results: Results) -> str:
    rows = results.check_results.filter(pl.col("code") == "GATE001")
    if rows.is_empty():
        return ""
    failed = rows.filter(pl.col("outcome") == "failed")
    if failed.height:
        return f"Not disjoint: {' '.join(failed['sentence'])}"
    return f"The patient. {' '.join(rows['sentence'])}"


def _sample_size(results: Results) -> str:
    reached = _sizes(results)
    if not reached:
        return ""
    return Partly(f"Reached: {reached}. The ledger does not contain the intended number and the reason for it")


def _sizes(results: Results) -> str:
    said = []
    for cohort in results.cohorts:
        rotations = cohort.get("rotations", 1)
        if rotations > 1:
            sizes = f"{rotations} rotations, in which each of {cohort['tested']['patients']:,} patients is tested once"
        else:
            sizes = ", ".join(f"{role['role']} {role['patients']:,} patients" for role in cohort.get("roles", ()))
        if sizes:
            said.append(f"{results.cohort_words(cohort['cohort'])}: {sizes}")
    return "; ".join(said)


def _models(results: Results) -> str:
    kinds: dict[str, list[str]] = {}
    for note in results.experiments.values():
        kinds.setdefault(note.shows.words, []).append(note.words)
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())


def _software(results: Results) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(results.provenance.versions.items()))


def _initial(results: Results) -> str:
    licences = results.provenance.licences
    return "Weights: " + ", ".join(f"{name} ({licence})" for name, licence in licences.items()) if licences else ""


def _training(results: Results) -> str:
    seeds = ", ".join(str(seed) for seed in results.provenance.seeds)
    return f"The ledger has the options of every experiment; seeds: {seeds}." if seeds else ""


def _selection(results: Results) -> str:
    chosen = [f"{task.words}: {results.experiments[task.best].words}" for task in results.tasks if task.best]
    metrics = ", ".join(dict.fromkeys(metric_of(task.metric).title for task in results.tasks if task.metric))
    return f"By {metrics}. {how_chosen(results)} {'; '.join(chosen)}." if chosen else ""


def _ensembles(results: Results) -> str:
    found = [f"{note.words} of {', '.join(note.members)}" for note in results.experiments.values() if note.members]
    return "; ".join(found) or "None."


def _metrics(results: Results) -> str:
    said = []
    for task in results.tasks:
        own = results.scores(task).filter((pl.col("baseline") == "") & (pl.col("class") == ""))
        printed = list(task.shows.compared)
        for section, metrics in _METRICS.items():
            printed += metrics if section in task.shows.sections else ()
        names = [name for name in dict.fromkeys(printed) if name in set(own["metric"])]
        if names:
            said.append(f"{task.words}: {', '.join(metric_of(name).title for name in names)}")
    return "; ".join(said)


def _uncertainty(results: Results) -> str:
    percent = round(100 * results.notes.confidence)
    draws = results.notes.bootstraps
    methods = set(results.estimates["method"])
    found = [words for part, words in STATISTICS.items() if any(part in method for method in methods)]
    if not found:
        return ""
    audited = set(results.audits.filter(pl.col("p_adjusted").is_not_null())["code"])
    screens = [code for code in SCREENS if code in audited]
    held = results.estimates["p_adjusted"].is_not_null().any() or audited - set(SCREENS)
    adjusted = ["Holm"] if held else []
    adjusted += [f"Benjamini and Hochberg in {' and '.join(screens)}"] if screens else []
    said = f"{percent} % intervals and tests: {', '.join(found)} ({draws} bootstraps)"
    if over_rotations(results):
        said += ", widened because rotations share training patients"
    return f"{said}; p adjusted by {', by '.join(adjusted)}." if adjusted else f"{said}."


def _robustness(results: Results) -> str:
    codes = results.check_results["code"].unique().sort().to_list()
    return f"Checks {', '.join(codes)}; see Audits." if codes else ""


def _flow(results: Results) -> str:
    return "See Cohort." if any(cohort.get("steps") for cohort in results.cohorts) else ""


def _statement(name: str) -> Callable[[Results], str]:
    return lambda results: str(results.statements.get(name, ""))


def _stores(results: Results) -> str:
    stores = sorted({str(cohort.get("store")) for cohort in results.cohorts if cohort.get("store")})
    return (
        f"Modality LUT, window, inversion and resizing to a square as in pixel store {', '.join(stores)}."
        if stores
        else ""
    )


def _summary(results: Results) -> str:
    found = " ".join(sentence for sentences in results.answers.values() for sentence in sentences)
    return Partly(f"Results: {found} The authors must add design, methods and conclusions.") if found else ""


def _failures(results: Results) -> str:
    groups = results.estimates.filter((pl.col("subgroup") != "all") & (pl.col("baseline") == "")).height
    if results.pictures.filter((pl.col("section") == "cases") & (pl.col("kind") == "case")).height:
        return f"See Cases{' and Subgroups' if groups else ''}."
    return Partly("See Subgroups; no single case is shown.") if groups else ""


def _nothing(_: Results) -> str:
    return ""


# The items of the 2024 update in our own words, each with the function that answers it.
ITEMS: tuple[tuple[int, str, Callable[[Results], str]], ...] = (
    (1, "The title or abstract names the method", _nothing),
    (2, "Structured summary", _summary),
    (3, "Background, intended use and role", _statement("intended_use")),
    (4, "Aims and hypotheses", lambda results: results.question),
    (5, "Prospective or retrospective", _nothing),
    (6, "Goal of the study", lambda results: results.question),
    (7, "Sources of the data", _sources),
    (8, "Who was included and left out", _steps),
    (9, "Preprocessing", _stores),
    (10, "Selection of subsets of the data", _steps),
    (11, "De-identification", _identity),
    (12, "Missing data", _missing),
    (
        13,
        "How images were acquired",
        lambda results: "See makers and views in Who they are." if _who(results) else "",
    ),
    (14, "Definition of the reference standard", _statement("reference_standard")),
    (15, "Why this reference standard", _nothing),
    (16, "Who made the annotations", _nothing),
    (17, "Annotation of the test set", _nothing),
    (18, "Variability between and within raters", _nothing),
    (19, "How data were assigned to partitions", _partitions),
    (20, "Level at which partitions are disjoint", _disjoint),
    (21, "Intended sample size", _sample_size),
    (22, "The models", _models),
    (23, "Software", _software),
    (24, "Initial parameters", _initial),
    (25, "Training", _training),
    (26, "How the final model was selected", _selection),
    (27, "Ensembles", _ensembles),
    (28, "Metrics", _metrics),
    (29, "Uncertainty and significance", _uncertainty),
    (30, "Robustness and sensitivity", _robustness),
    (31, "Explanation of the models", _nothing),
    (32, "Evaluation on internal data", _sizes),
    (33, "Testing on external data", _nothing),
    (34, "Registration of a trial", _nothing),
    (35, "Numbers included and excluded", _flow),
    (36, "Demographics of each partition", lambda results: "See Who they are." if _who(results) else ""),
    (37, "Performance with its uncertainty", lambda results: "See Which model reads it best." if results.tasks else ""),
    (
        38,
        "Diagnostic performance with its precision",
        lambda results: "See Operating points." if _binary(results) else "",
    ),
    (39, "Failures", _failures),
    (40, "Limitations", _statement("limitations")),
    (41, "Implications for practice", _nothing),
    (42, "Full protocol", lambda results: "The study file in the ledger." if results.provenance.study else ""),
    (43, "Availability of software, models and data", _nothing),
    (44, "Funding, and the funders' role", _statement("funding")),
)


def _who(results: Results) -> bool:
    return results.table_one.height > 0


def _binary(results: Results) -> bool:
    return bool(results.tasks_in("operating-points"))


def _state(answer: str) -> Cell:
    if isinstance(answer, Partly):
        return Cell("in part", mark="quiet")
    return Cell("filled", mark="passed") if answer else Cell("open", mark="failed")


def build(results: Results) -> Section:
    """One row for each item; open items ask the authors for an answer."""
    answers = [(number, words, answer(results)) for number, words, answer in ITEMS]
    rows = tuple(
        Row(
            (
                Cell(str(number), value=float(number)),
                Cell(words),
                _state(answer),
                Cell(answer or "Only the authors know this: state it in the paper, or in the study file (statements)."),
            )
        )
        for number, words, answer in answers
    )
    filled = sum(bool(answer) and not isinstance(answer, Partly) for _, _, answer in answers)
    partly = sum(isinstance(answer, Partly) for _, _, answer in answers)
    table = Table(
        "claim",
        f"CLAIM, 2024 update, items in our own words: {filled} of {len(rows)} filled, {partly} in part",
        (Column("Item"), Column("What is asked"), Column("State"), Column("Answer")),
        rows,
    )
    return Section(
        "checklist",
        "Checklist",
        f"Reviewers use the checklist CLAIM for studies like this one. {filled} of {len(rows)} items are filled in "
        f"from the ledger, {partly} in part, the others are open. Compare the wording with the published checklist "
        f"before you submit it.",
        (table,),
    )
