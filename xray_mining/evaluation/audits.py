"""Audits of every evaluation: shortcuts, fairness, label noise, drift, sample size; from predictions alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from xray_mining.catalog.order import latest_of
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.comparisons import Smallest
from xray_mining.evaluation.estimates import probabilities
from xray_mining.evaluation.gather import Array, Model, Task, finding
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.rows import number
from xray_mining.evaluation.subgroups import age_bands
from xray_mining.evaluation.variants import hanging
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.images import YEARS_ARE_SHIFTED
from xray_mining.statistics.auc import area_estimate, areas_over_folds, without_skill
from xray_mining.statistics.comparison import benjamini_hochberg, difference_of_areas, difference_of_means, holm
from xray_mining.statistics.errors import compare_errors
from xray_mining.statistics.estimate import Estimate

SHORTCUTS = {
    "metadata": "maker, site, view, year and the like, without the picture",
    "histogram": "grey levels alone",
    "border": "the picture's border and padding alone",
}
ANATOMY_IN = ("histogram", "border")
"""Anatomy shows in these too, so that they alarm only from SHARE of the best model's score on."""
SHARE = 0.5
LEVEL = 0.05
"""An audit alarms at an adjusted p up to this."""

Rows = list[dict[str, Any]]


def _row(code: str, audit: str, task: Task, **more: Any) -> dict[str, Any]:
    empty = {"experiment": "", "attribute": "", "label": "", "metric": "", "patients": task.patients, "words": ""}
    return {"code": code, "audit": audit, "target": task.target.name} | empty | more


def audit(
    task: Task, options: EvaluationOptions, choice: Choice, subgroups: Sequence[Mapping[str, Any]]
) -> tuple[Rows, Rows]:
    """Rows of audits and of check_results for one task; `subgroups` are its rows by subgroup."""
    rows, findings = [], []
    for each in (
        shortcuts(task, options, choice),
        leaning(task, options, choice),
        hanging(task, options, choice),
        fairness(task, choice, subgroups),
        matched_groups(task, options, choice),
        label_noise(task, choice),
        drift_over_years(task, options, choice),
    ):
        rows += each[0]
        findings += each[1]
    return rows, findings


def shortcuts(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[Rows, Rows]:
    """SHORT001: what a model that sees no anatomy reads of the target, and how much of the best score that is.

    Failed where metadata tell more than chance (Holm over these models), and where grey levels or the border do and
    reach half of the best model's score: fluid whitens a picture, and shoulders lie at its border.
    """
    title = "what tells the target without anatomy"
    nulls = [
        (word, model)
        for word in SHORTCUTS
        for model in task.models.values()
        if model.kind == "null" and model.architecture == word
    ]
    if not nulls or task.target.kind == "group":
        sentence = f"{task.name}: no null experiment of a binary target or a number to look at."
        return [], [finding("SHORT001", "warning", "not_applicable", title, sentence)]
    measured = [
        (word, model, found)
        for word, model in nulls
        if (found := _skill(task, model, options)) is not None and np.isfinite(found.p_value)
    ]
    if not measured:
        sentence = f"{task.name}: the null experiments have nothing to be compared with."
        return [], [finding("SHORT001", "warning", "not_applicable", title, sentence)]
    adjusted = holm([found.p_value for _, _, found in measured])
    best = task.models.get(choice.best)
    whole = _skill(task, best, options) if best is not None else None
    rows, guilty = [], []
    for (word, model, found), p in zip(measured, adjusted, strict=True):
        # Of a best model that is not shown to know anything, any share is noise over noise.
        share = found.value / whole.value if whole is not None and whole.low > 0 else float("nan")
        told = f", {100 * share:.0f} % of the best model's" if np.isfinite(share) and found.value > 0 else ""
        unit = f" {task.target.unit}" if task.is_number and task.target.unit else ""
        what = "MAE below guessing the centre" if task.is_number else "AUC above 0.5"
        words = f"{SHORTCUTS[word]}: {what} by {found.value:.3f}{unit} ({found.low:.3f} to {found.high:.3f}){told}"
        rows.append(
            _row(
                "SHORT001",
                "shortcut",
                task,
                experiment=model.name,
                attribute=word,
                metric="mae_gained" if task.is_number else "auc_above_half",
                value=number(found.value),
                low=number(found.low),
                high=number(found.high),
                patients=found.patients,
                p_value=number(found.p_value),
                p_adjusted=number(float(p)),
                words=words,
            )
        )
        if p <= LEVEL and found.value > 0 and (word not in ANATOMY_IN or share >= SHARE):
            guilty.append(words)
    nothing = whole is None or not whole.low > 0
    outcome = "failed" if guilty else "not_applicable" if nothing else "passed"
    silent = [SHORTCUTS[word] for word, _ in nulls if word not in {each for each, _, _ in measured}]
    unasked = f" Not asked, for want of patients or predictions: {'; '.join(silent)}." if silent else ""
    if guilty:
        sentence = f"{task.name}: {'; '.join(guilty)}.{unasked}"
    elif nothing:
        sentence = (
            f"{task.name}: the best model is not shown to know more than guessing, so that there is nothing to take a "
            f"share of; {'; '.join(row['words'] for row in rows)}.{unasked}"
        )
    else:
        sentence = (
            f"{task.name}: metadata are not shown to tell more than chance, nor do grey levels or the border tell more "
            f"and at least {100 * SHARE:.0f} % of what the best model knows. {'; '.join(row['words'] for row in rows)}."
            f"{unasked}"
        )
    return rows, [finding("SHORT001", "warning", outcome, title, sentence, offenders=len(guilty))]


def _skill(task: Task, model: Model, options: EvaluationOptions) -> Estimate | None:
    """What a model gains over knowing nothing: the centre's MAE minus its own, or its AUC minus 0.5; p two-sided."""
    known = model.known
    if task.is_number:
        centre = task.models.get(task.of_architecture("centre"))
        if centre is None or centre.name == model.name or not (known & centre.known).any():
            return None
        both = known & centre.known
        return compare_errors(
            task.truth[both],
            centre.values[both],
            model.values[both],
            task.owner[both],
            folds=task.folds[both],
            again=(centre.again_of(both), model.again_of(both)),
            confidence=options.confidence,
            draws=500,
            seed=options.seed,
        )["mae"]
    try:
        areas = areas_over_folds(
            task.truth[known], model.values[known], task.owner[known], task.folds[known], model.again_of(known)
        )
    except ValueError:
        return None
    gain, error = float(areas.values[0]) - 0.5, float(np.sqrt(areas.variance((0, 1.0))))
    if error == 0:
        # Always right, or a constant: nothing varies, so the interval and p are those of an area's end.
        whole = area_estimate(areas, 0, options.confidence)
        p = without_skill(gain, areas.positives, areas.negatives) if gain else 1.0
        return Estimate(gain, whole.low - 0.5, whole.high - 0.5, areas.patients, areas.images, "", "", p)
    half = stats.norm.ppf(0.5 + options.confidence / 2) * error
    p = 2 * stats.norm.sf(abs(gain) / error)
    return Estimate(gain, gain - half, gain + half, areas.patients, areas.images, "", "", float(p))


LEANING = ("manufacturer", "manufacturer_model_name", "institution_key", "archive", "view_position", "study_year")
"""Attributes that are asked one by one how much of the target they explain."""


def leaning(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[Rows, Rows]:
    """SHORT003: which attribute the target leans on, and how much of the best model's predictions it explains.

    Shares of the variance between the attribute's levels (omega squared, which chance leaves at 0), a unit a patient;
    p of an analysis of variance, Benjamini and Hochberg over the attributes. Levels below the least cell are one.
    """
    title = "the target by maker, site, view and year"
    model = task.models.get(choice.best)
    if task.target.kind == "group" or not len(task.truth):
        sentence = f"{task.name}: only numbers and two classes are asked."
        return [], [finding("SHORT003", "warning", "not_applicable", title, sentence)]
    first = task.latest
    measured: list[tuple[str, float, float, float]] = []
    for name in LEANING:
        level = _levels(task.units[name][first], options.least_patients)
        own, p = _between(level, task.truth[first])
        if np.isfinite(p):
            predicted = float("nan")
            if model is not None:
                known = model.known[first]
                predicted = _between(level[known], model.values[first][known])[0]
            measured.append((name, own, predicted, p))
    if not measured:
        sentence = f"{task.name}: no attribute has two levels with enough patients."
        return [], [finding("SHORT003", "warning", "not_applicable", title, sentence)]
    rows, guilty = [], []
    adjusted = benjamini_hochberg([p for *_, p in measured])
    for (name, own, predicted, p), q in zip(measured, adjusted, strict=True):
        words = f"{name.removesuffix('_key').replace('_', ' ')} explains {100 * own:.1f} % of the target's variance"
        if np.isfinite(predicted):
            words += f" and {100 * predicted:.1f} % of the best model's predictions'"
        rows.append(
            _row(
                "SHORT003",
                "shortcut",
                task,
                experiment=choice.best,
                attribute=name,
                metric="variance_explained",
                value=number(own),
                p_value=number(p),
                p_adjusted=number(float(q)),
                words=words,
            )
        )
        if q <= LEVEL:
            guilty.append(words)
    outcome = "failed" if guilty else "passed"
    names = ", ".join(name.removesuffix("_key").replace("_", " ") for name, *_ in measured)
    sentence = f"{task.name}: {'; '.join(guilty)}." if guilty else f"{task.name}: not shown to differ by {names}."
    return rows, [finding("SHORT003", "warning", outcome, title, sentence, offenders=len(guilty))]


def _levels(values: pl.Series, least: int) -> Array:
    """Numbers of levels (n,) int64; levels with fewer units than the least cell are one, unknown values another."""
    frame = pl.DataFrame({"level": values.cast(pl.String).fill_null("")})
    rare = pl.len().over("level") < least
    number_of = pl.when(rare).then(None).otherwise(pl.col("level")).rank("dense").fill_null(0).cast(pl.Int64)
    return frame.select(number_of.alias("number"))["number"].to_numpy()


def _between(level: Array, values: Array) -> tuple[float, float]:
    """Share of the variance of `values` (n,) between levels (omega squared, 0 or more), and p of the F test."""
    present, place, counts = np.unique(level, return_inverse=True, return_counts=True)
    more, inside = len(present) - 1, len(values) - len(present)
    if more < 1 or inside < 1:
        return float("nan"), float("nan")
    means = np.bincount(place, values) / counts
    within = float(((values - means[place]) ** 2).sum()) / inside
    total = float(((values - values.mean()) ** 2).sum())
    between = total - within * inside
    if within <= 1e-12 * total:
        # Within a level all are the same: it tells everything, or there is nothing to tell.
        return (1.0, 0.0) if total > 0 else (float("nan"), float("nan"))
    share = (between - more * within) / (total + within)
    return max(0.0, share), float(stats.f.sf(between / more / within, more, inside))


SCREENED_PATIENTS = 30
"""Patients of a subgroup from which on it may raise an alarm."""


def fairness(task: Task, choice: Choice, subgroups: Sequence[Mapping[str, Any]]) -> tuple[Rows, Rows]:
    """FAIR001: subgroups for which the best model differs from the rest.

    All figures of all columns are one family, a screen, so that Benjamini and Hochberg's share of false discoveries is
    held: where there is no gap at all, that is the chance of any alarm. Judged are mean error and area, not operating
    points (one threshold gives groups of unlike scores unlike sensitivities without a gap in what is known), and cells
    of SCREENED_PATIENTS at least, whose p values can be relied on; smaller ones stand in the table of subgroups.
    """
    title = "the best model by subgroup"
    own = {{"age_years": "age_band", "institution_key": "institution"}.get(name, name) for name in task.target.made_of}
    wanted = [
        each
        for each in subgroups
        if each["experiment"] == choice.best
        and each["metric"] in ("mae", "auc")
        and each["p_value"] is not None
        and each["patients"] >= SCREENED_PATIENTS
        # Errors by what the target is made of differ in every model that learns: regression to the mean.
        and not own & {part.split("=")[0] for part in each["subgroup"].split(" & ")}
    ]
    if not wanted:
        sentence = f"{task.name}: no subgroup has enough patients to be tested against the rest."
        return [], [finding("FAIR001", "warning", "not_applicable", title, sentence)]
    # Women against the rest and men against the rest are one test, which counts once: both rows have its p.
    tests = list(dict.fromkeys((each["family"], each["p_value"]) for each in wanted))
    of_test = dict(zip(tests, benjamini_hochberg([p for _, p in tests]), strict=True))
    adjusted = [of_test[each["family"], each["p_value"]] for each in wanted]
    rows, guilty = [], []
    for each, p in zip(wanted, adjusted, strict=True):
        words = f"{each['subgroup']}: {each['metric']} {each['value']:.3f} ({each['patients']:,} patients)"
        attribute = " & ".join(part.split("=")[0] for part in each["subgroup"].split(" & "))
        rows.append(
            _row(
                "FAIR001",
                "fairness",
                task,
                experiment=each["experiment"],
                attribute=attribute,
                label=each["subgroup"],
                metric=each["metric"],
                value=each["value"],
                low=each["low"],
                high=each["high"],
                patients=each["patients"],
                p_value=each["p_value"],
                p_adjusted=float(p),
                words=words,
            )
        )
        if p <= LEVEL:
            guilty.append(words)
    sentence = (
        f"{task.name}: {len(guilty)} of {len(wanted)} figures differ from the rest: {'; '.join(guilty[:5])}."
        if guilty
        else f"{task.name}: none of {len(wanted)} figures by subgroup differs from the rest beyond chance."
    )
    outcome = "failed" if guilty else "passed"
    return rows, [finding("FAIR001", "warning", outcome, title, sentence, offenders=len(guilty), section="subgroups")]


MATCHED = ("patient_sex", "view_position", "manufacturer", "institution_key")
"""Attributes whose two most frequent levels are compared on a matched test set."""


def matched_groups(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[Rows, Rows]:
    """FAIR002: two groups again, on a test set drawn to equal age, sex and, for classes, prevalence; Holm over all."""
    title = "groups at equal age, sex and prevalence"
    model = task.models.get(choice.best)
    if model is None or task.target.kind == "group":
        return [], [finding("FAIR002", "warning", "not_applicable", title, f"{task.name}: groups are not compared.")]
    compared = [
        (name, levels, drawn, found)
        for name in MATCHED
        if name != task.target.name and len(levels := _two_levels(task, model, name)) == 2
        for drawn in [_matched(task, model, name, levels, options)]
        if (found := _gap(task, model, (task.units[name] == levels[0]).fill_null(False).to_numpy(), drawn, options))
        is not None
    ]
    if not compared:
        sentence = f"{task.name}: no two groups have enough patients of equal age and sex to be compared."
        return [], [finding("FAIR002", "warning", "not_applicable", title, sentence)]
    metric = "mae" if task.is_number else "auc"
    rows, guilty, told = [], [], []
    adjusted = holm([found.p_value for *_, found in compared])
    for (name, levels, drawn, found), p in zip(compared, adjusted, strict=True):
        # A site's key says nothing to a reader, and would tell the page more than it should.
        pair = levels if name != "institution_key" else ("the largest site", "the next")
        words = (
            f"{metric} of {pair[0]} minus {pair[1]} {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) "
            f"on {len(drawn):,} images"
        )
        rows.append(
            _row(
                "FAIR002",
                "fairness",
                task,
                experiment=model.name,
                attribute=name,
                label=" - ".join(pair),
                metric=metric,
                value=number(found.value),
                low=number(found.low),
                high=number(found.high),
                patients=found.patients,
                p_value=number(found.p_value),
                p_adjusted=number(float(p)),
                words=words,
            )
        )
        told.append(words)
        if p <= LEVEL:
            guilty.append(words)
    outcome = "failed" if guilty else "passed"
    sentence = f"{task.name}: {'; '.join(guilty or told)}."
    found_row = finding("FAIR002", "warning", outcome, title, sentence, offenders=len(guilty), section="subgroups")
    return rows, [found_row]


def _two_levels(task: Task, model: Model, name: str) -> list[str]:
    """The two levels of an attribute with most tested units; men before women, else by name."""
    values = task.units[name].filter(pl.Series(model.known)).drop_nulls()
    if name == "patient_sex":
        values = values.filter(values.is_in(["M", "F"]))
    counts = values.value_counts().sort(["count", name], descending=[True, False])
    return sorted(counts[name].head(2).to_list(), reverse=name == "patient_sex")


def _matched(task: Task, model: Model, name: str, levels: Sequence[str], options: EvaluationOptions) -> Array:
    """Rows of units drawn at random so that both levels have as many in every cell of age band, sex and class."""
    frame = pl.DataFrame(
        {
            "place": np.arange(len(task.truth)),
            "level": task.units[name],
            "sex": task.units["patient_sex"] if name != "patient_sex" else pl.Series([""] * len(task.truth)),
            "band": age_bands(task.units["age_years"], options.age_band_years),
            "label": task.labels,
            "order": np.random.default_rng([options.seed, 41]).permutation(len(task.truth)),
        }
    ).filter(pl.Series(model.known) & pl.col("level").is_in(list(levels)).fill_null(False))
    cell = ["band", "sex", "label"]
    frame = frame.drop_nulls(cell)
    counts = frame.group_by(*cell, "level").len().group_by(cell).agg(pl.col("len").min(), pl.len().alias("levels"))
    matched = (
        frame.join(counts.filter(pl.col("levels") == 2).select(*cell, "len"), on=cell)
        .with_columns(pl.col("order").rank("ordinal").over(*cell, "level").alias("_rank"))
        .filter(pl.col("_rank") <= pl.col("len"))
    )
    return matched["place"].sort().to_numpy()


def _gap(task: Task, model: Model, first: Array, place: Array, options: EvaluationOptions) -> Estimate | None:
    """The metric of the units of `place` that are `first` (n,) bool, minus that of the rest; None for too few."""
    owner = task.owner[place]
    if len(np.unique(owner)) < 2 * options.least_patients:
        return None
    first = first[place]
    if task.is_number:
        error = np.abs(model.values[place] - task.truth[place])
        found = difference_of_means(error, first, owner, options.confidence)
    else:
        found = difference_of_areas(
            task.truth[place],
            model.values[place],
            first,
            owner,
            task.folds[place],
            confidence=options.confidence,
        )
    return found if np.isfinite(found.p_value) else None


def label_noise(task: Task, choice: Choice) -> tuple[Rows, Rows]:
    """NOISE001: labels that the best model contradicts with confidence (Northcutt, Jiang & Chuang, JAIR 70:1373, 2021).

    A unit is a suspect when its probability for the other class reaches the mean that units of that class have. Listed,
    not judged: a weak model contradicts right labels too.
    """
    title = "labels that the best model contradicts"
    model = task.models.get(choice.best)
    values = probabilities(model)[0] if model is not None and task.target.kind == "binary" else None
    if model is None or values is None:
        return [], [finding("NOISE001", "note", "not_applicable", title, f"{task.name}: has no probabilities to ask.")]
    known = model.known
    truth = task.truth == 1
    if truth[known].all() or not truth[known].any():
        return [], [finding("NOISE001", "note", "not_applicable", title, f"{task.name}: has one class only.")]
    as_positive = values[known & truth].mean()
    as_negative = (1 - values[known & ~truth]).mean()
    suspect = known & np.where(truth, 1 - values >= as_negative, values >= as_positive)
    # A weak model's class means lie on the wrong side of even: those units are no suspects.
    suspect &= np.where(truth, values < 0.5, values > 0.5)
    rows = []
    names = {True: task.target.positive, False: next((c for c in task.target.classes if c != task.target.positive), "")}
    for side, word in names.items():
        of_class = known & (truth == side)
        count = int((suspect & of_class).sum())
        rows.append(
            _row(
                "NOISE001",
                "label_noise",
                task,
                experiment=model.name,
                label=word,
                metric="suspects_share",
                value=count / int(of_class.sum()),
                patients=len(np.unique(task.owner[of_class])),
                words=f"{count:,} of {int(of_class.sum()):,} labelled {word} are contradicted with confidence",
            )
        )
    margin = np.where(truth, 1 - values, values)
    first = np.flatnonzero(suspect)[np.argsort(-margin[suspect], kind="stable")][:10]
    listed = [
        {
            "unit_key": task.units["unit_key"][int(i)],
            "label": str(task.labels[i]),
            "probability": round(float(values[i]), 3),
        }
        for i in first
    ]
    total = int(suspect.sum())
    who = task.words(model.name)
    sentence = f"{task.name}: {total:,} of {int(known.sum()):,} labels are contradicted with confidence by {who}."
    return rows, [finding("NOISE001", "note", "passed", title, sentence, rows=listed, offenders=total)]


def drift_over_years(task: Task, options: EvaluationOptions, choice: Choice) -> tuple[Rows, Rows]:
    """DRIFT002: whether the best model's error changes over the years of the studies."""
    title = "the best model over the years"
    model = task.models.get(choice.best)
    years = task.units["study_year"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if model is None or task.target.kind == "group":
        return [], [finding("DRIFT002", "warning", "not_applicable", title, f"{task.name}: there is no model to ask.")]
    known = model.known & np.isfinite(years)
    if not known.any() or len(np.unique(years[known])) < 2 or len(np.unique(task.owner[known])) < 10:
        sentence = f"{task.name}: its studies are of one year, or their years are not known."
        return [], [finding("DRIFT002", "warning", "not_applicable", title, sentence)]
    given = model.values if task.is_number else probabilities(model)[0]
    if given is None:
        return [], [finding("DRIFT002", "warning", "not_applicable", title, f"{task.name}: has no probabilities.")]
    loss = np.abs(given - task.truth)[known]
    slope, low, high, p = _slope(years[known], loss, task.owner[known], options.confidence)
    unit = f" {task.target.unit}" if task.is_number and task.target.unit else ""
    words = f"the absolute error changes by {slope:.3f}{unit} a year ({low:.3f} to {high:.3f})"
    row = _row(
        "DRIFT002",
        "drift",
        task,
        experiment=model.name,
        attribute="study_year",
        metric="error_per_year",
        value=number(slope),
        low=number(low),
        high=number(high),
        p_value=number(p),
        p_adjusted=number(p),
        words=words,
    )
    failed = bool(p <= LEVEL)
    outcome = "failed" if failed else "passed"
    sentence = f"{task.name}: {words}. {YEARS_ARE_SHIFTED}"
    return [row], [finding("DRIFT002", "warning", outcome, title, sentence, offenders=int(failed))]


def _slope(x: Array, y: Array, owner: Array, confidence: float) -> tuple[float, float, float, float]:
    """Least-squares slope of y on x with a Student interval and p, variance by patient.

    What folds that share training patients add cancels out between early and late, as it does between two groups.
    """
    centred = x - x.mean()
    square = float((centred**2).sum())
    slope = float((centred * y).sum() / square)
    influence = centred * (y - y.mean() - slope * centred) / square
    sums = np.bincount(owner, influence)
    count = len(np.unique(owner))
    error = float(np.sqrt((sums**2).sum() * count / (count - 1)))
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(slope) / error, count - 1)) if error > 0 else 1.0
    return slope, slope - half, slope + half, p


def drift_between_splits(cohort: FrozenCohort, attributes: pl.DataFrame) -> tuple[Rows, Rows]:
    """DRIFT001: whether training and test patients are alike, by latest radiographs; Welch's test, or chi-squared."""
    title = "training patients beside test patients"
    members = cohort.members().select("image_key", "patient_key", "split")
    frame = members.join(attributes.drop("patient_key", "study_key"), on="image_key", how="left")
    frame = latest_of(frame)
    train, test = (frame.filter(pl.col("split") == role) for role in ("train", "test"))
    measured: list[tuple[str, float]] = []
    if min(train.height, test.height) >= 10:
        a, b = train["age_years"].drop_nulls().to_numpy(), test["age_years"].drop_nulls().to_numpy()
        if min(len(a), len(b)) >= 10 and a.std() + b.std() > 0:
            measured.append(("age_years", float(stats.ttest_ind(a, b, equal_var=False).pvalue)))
        for name in ("patient_sex", "view_position", "manufacturer", "archive", "study_year"):
            table = (
                pl.concat([train, test])
                .filter(pl.col(name).is_not_null())
                .group_by(name, "split")
                .len()
                .pivot("split", index=name, values="len")
                .fill_null(0)
                # A sum in another order has another last bit.
                .sort(name)
            )
            counts = table.select("train", "test").to_numpy() if {"train", "test"} <= set(table.columns) else None
            if counts is None:
                continue
            # Rare levels together: the test wants five expected patients a cell.
            rare = counts.sum(axis=1) < 5 * counts.sum() / counts.sum(axis=0).min()
            counts = np.vstack([counts[~rare], counts[rare].sum(axis=0, keepdims=True)])
            counts = counts[counts.sum(axis=1) > 0]
            if counts.shape[0] >= 2:
                measured.append((name, float(stats.chi2_contingency(counts, correction=False).pvalue)))
    if not measured:
        sentence = f"{cohort.name}: too few patients, or nothing known of them, to compare splits."
        return [], [
            finding("DRIFT001", "warning", "not_applicable", title, sentence, section="table_one", about=cohort.name)
        ]
    adjusted = holm([p for _, p in measured])
    patients = train.height + test.height
    base = {"code": "DRIFT001", "audit": "drift", "experiment": "", "target": "", "label": "", "metric": "train_test"}
    rows = [
        base
        | {"attribute": name, "patients": patients, "p_value": p, "p_adjusted": float(q), "words": f"{name}: p {p:.3f}"}
        for (name, p), q in zip(measured, adjusted, strict=True)
    ]
    guilty = [name for (name, _), q in zip(measured, adjusted, strict=True) if q <= LEVEL]
    sentence = (
        f"{cohort.name}: training and test patients of the first rotation differ in {', '.join(guilty)}."
        if guilty
        else f"{cohort.name}: training and test patients of the first rotation are not shown to differ in "
        f"{', '.join(name for name, _ in measured)}."
    )
    severity = "note" if cohort.split_given else "warning"
    outcome = "failed" if guilty else "passed"
    return rows, [
        finding(
            "DRIFT001",
            severity,
            outcome,
            title,
            sentence,
            offenders=len(guilty),
            section="table_one",
            about=cohort.name,
        )
    ]


def adequacy(task: Task, smallest: Smallest | None) -> tuple[Rows, Rows]:
    """SIZE002: the smallest difference of the best model from its rival that this test set would have shown."""
    title = "the size of the test set"
    if smallest is None:
        sentence = f"{task.name}: there is no pair of models to tell apart."
        return [], [finding("SIZE002", "note", "not_applicable", title, sentence)]
    unit = f" {task.target.unit}" if task.is_number and task.target.unit else ""
    rival = task.words(smallest.rival)
    words = (
        f"true differences in {task.metric} from {rival} below {smallest.difference:.3f}{unit} would be "
        f"missed in more than 2 of 10 repetitions by a test of this pair alone at 5 %"
    )
    row = _row(
        "SIZE002",
        "sample_size",
        task,
        attribute=smallest.rival,
        metric="smallest_difference",
        value=number(smallest.difference),
        words=words,
    )
    return [row], [finding("SIZE002", "note", "passed", title, f"{task.name}: {words}.")]
