"""Cohorts: run one SELECT read-only, assign folds, check for leaks, and freeze the result with its description."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from xray_mining.catalog import flow, made_of, order
from xray_mining.catalog.checks import leaks, patients_on_two_sides, unanswered
from xray_mining.catalog.connection import connect, frame, guarded, reads_results
from xray_mining.catalog.folds import FOLDS, LEAST_FOLDS, MOST_FOLDS, SALT
from xray_mining.catalog.guard import one_select
from xray_mining.catalog.header import Header, queries, read_header
from xray_mining.catalog.merge import read_about
from xray_mining.catalog.query import known_tables, run_file, shipped
from xray_mining.catalog.stratified import lacking, stratified_folds
from xray_mining.catalog.targets import TARGETS, Frozen, Unusable
from xray_mining.catalog.targets._columns import refuse_names
from xray_mining.errors import CheckFailed, UserError, unknown_name
from xray_mining.records.cohort import FlowStep, FrozenCohort, Target
from xray_mining.records.cohort_members import SPLITS
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.ledger import record_run
from xray_mining.workspace import Workspace, asset, digest_of, digest_of_frame, read_text

_OWN_COLUMNS = ("image_key", "split", "weight")
_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class CohortQuery:
    """The text and the parsed header of a cohort's SQL file."""

    name: str
    text: str
    header: Header

    @property
    def where(self) -> str:
        """The name of the cohort in error messages."""
        return f"cohort {self.name}"


def known_cohorts() -> dict[str, Path]:
    """The shipped cohort files, by name."""
    return queries(asset("sql/cohorts"))


def read_query(query: str) -> CohortQuery:
    """Read a cohort's file, given the name of a shipped one or a path."""
    path = Path(query)
    if path.suffix != ".sql":
        known = known_cohorts()
        if query not in known:
            raise unknown_name("cohort", query, known)
        path = known[query]
    text = read_text(path)
    return CohortQuery(path.stem, text, read_header(text, f"cohort {path.stem}"))


def _store(workspace: Workspace, asked: CohortQuery, require_pixels: bool | None) -> str:
    """The pixel store that must hold every member; an empty text if pixels are not required."""
    store = workspace.settings.store or ""
    if require_pixels and not store:
        raise UserError(f"{asked.where}: the workspace has no pixel store; ingest without --metadata-only first")
    return "" if require_pixels is False else store


def _of_sources(name: str, targets: Sequence[Target]) -> Iterator[str]:
    """A MADE001 sentence for each target whose header does not declare the columns it is computed from."""
    for each in targets:
        if each.made_of_from != "header":
            yield f"MADE001: {made_of.sentence(name, each)}"


def freeze(  # noqa: PLR0917  these arguments are the options of a cohort in a study file
    workspace: Workspace,
    query: str,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    folds: int = FOLDS,
    salt: str = SALT,
    require_pixels: bool | None = None,
    seconds: float | None = 600.0,
) -> FrozenCohort:
    """Run a cohort's file and freeze its members under `name`; the same members give the same digest and folder.

    Args:
        workspace: The workspace; new parts are merged first.
        query: Name of a shipped cohort, or the path of an SQL file.
        name: Name of the frozen cohort.
        parameters: Values for the parameters that the file's header declares.
        folds: Number of folds; a patient is in one fold.
        salt: Public text that decides which patient is in which fold.
        require_pixels: Whether every member must be in the current pixel store; None requires it if there is a store.
        seconds: Time limit of the query.

    Returns:
        The frozen cohort: members, targets, flow, digest.

    Raises:
        UserError: If the query is unknown or invalid, or selects no image; if `name` is not a name, or `folds` is not a
            whole number from 3 to 100.
        CheckFailed: If a leak check finds offending rows, for example a patient on two sides of a split.
        CannotFinish: If the query takes longer than `seconds`.

    Example:
        >>> cohort = freeze(workspace, "frontal_adults", "doors", {"youngest": 30})
        >>> cohort.members()["split"].unique().sort().to_list()
        ['test', 'train', 'validation']
        >>> freeze(workspace, "frontal_adults", "doors", {"youngest": 30}).digest == cohort.digest
        True
    """
    asked = read_query(query)
    _refuse_name_and_folds(name, folds)
    values = asked.header.values(parameters or {}, asked.where)
    command = f"xray-mining cohort {asked.name} --as {name} --folds {folds}"
    with record_run(workspace, "cohort", name, command, {"parameters": values, "folds": folds, "salt": salt}) as notes:
        with guarded(workspace, seconds, results=any(map(reads_results, _texts(asked)))) as con:
            store = _store(workspace, asked, require_pixels)
            cohort, members, targets = _selected(con, asked, name, values, folds, salt, store)
        # Computed after the connection is closed and its memory is free, because these are the largest frames.
        digest = digest_of([digest_of_frame(members), digest_of_frame(targets), _digested(cohort.targets)])
        about = read_about(workspace.catalog)
        cohort = replace(cohort, digest=digest, catalog_digest=about["digest"]).save(
            workspace,
            members.with_columns(pl.lit(name).alias("cohort"), pl.lit(digest).alias("cohort_digest")),
            targets.with_columns(pl.lit(digest).alias("cohort_digest")),
        )
        notes.inputs["catalog"] = about["digest"]
        notes.outputs[name] = digest
    return cohort


def _selected(  # noqa: PLR0917  what `freeze` is given
    con: duckdb.DuckDBPyConnection,
    asked: CohortQuery,
    name: str,
    values: Mapping[str, Any],
    folds: int,
    salt: str,
    store: str,
) -> tuple[FrozenCohort, pl.DataFrame, pl.DataFrame]:
    """The cohort, still without its digests, and its members and targets without the columns that name it."""
    # Refuse what must not run before anything runs, then select the members once.
    tree = one_select(asked.text, asked.where, known_tables(con), repeatable=True)
    flow.steps(tree, asked.where)
    chosen = frame(con, asked.text, _used(values, tree), asked.where)
    if "image_key" in chosen.columns and chosen.height == 0:
        steps = flow.count(con, tree, values, asked.where)
        raise UserError(f"{asked.where}: no image fits; {_last_left(steps)}{_notes(asked.header)}")
    members = _members(con, chosen, asked, folds, salt)
    if store:
        _require_pixels(con, members, store, asked.where)
    found = _targets(chosen, members, asked)
    members, spread = _spread(members, found.strata, asked, folds, salt)
    counted = (*flow.count(con, tree, values, asked.where, chosen["image_key"]), flow.of_members(members))
    _stop_at(leaks(con, members), f"cohort {name}")
    targets = made_of.guessed(con, found.targets, found.rows)
    sentences = (
        *_sentences(con, asked, values, members, chosen),
        *order.sentences(con, asked.text, tree),
        *found.sentences,
        *spread,
        *(f"{asked.where}: {reason}; no experiment can use it" for reason in found.unusable.values()),
        *_of_sources(name, targets),
    )
    cohort = FrozenCohort(
        name=name,
        digest="",
        query=asked.name,
        sql=asked.text,
        parameters=values,
        salt=salt,
        folds=folds,
        split_given="split" in chosen.columns,
        targets=targets,
        flow=counted,
        catalog_digest="",
        store=store,
        sentences=sentences,
        unusable=found.unusable,
    )
    return cohort, members, found.rows


def _digested(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Targets as they enter the cohort's digest, without `made_of`, which only the models that read it depend on.

    An empty policy is left out, so that cohorts frozen before policies existed keep their digests.
    """
    left_out = ("made_of", "made_of_from")
    return [
        {name: value for name, value in asdict(each).items() if name not in left_out and (name != "policy" or value)}
        for each in targets
    ]


def gate(workspace: Workspace, cohort: FrozenCohort) -> tuple[str, ...]:
    """Check before a fit that no patient, study or picture is on two sides; CheckFailed names the offending keys.

    Returns a sentence for each check that could not run: if near-duplicates were not searched for, the check must not
    count as passed.
    """
    with connect(workspace, results=False) as con:
        offenders = leaks(con, cohort.members())
        open_questions = tuple(unanswered(con, workspace))
    _stop_at(offenders, f"cohort {cohort.name}")
    return open_questions


def _texts(asked: CohortQuery) -> list[str]:
    return [asked.text, *(text for _, text in _reports(asked))]


def _reports(asked: CohortQuery) -> list[tuple[str, str]]:
    """Names and texts of the header's `-- report:` queries; only files of sql/reports are allowed."""
    for name in asked.header.reports:
        if not re.fullmatch(r"reports/[a-z0-9_]+", name):
            raise UserError(
                f"{asked.where}: '-- report: {name}' names no query of sql/reports; write it like "
                f"reports/unfilled_cells"
            )
    return [(name, shipped(name).read_text(encoding="utf-8")) for name in asked.header.reports]


def _refuse_name_and_folds(name: str, folds: int) -> None:
    # The name is a folder of the workspace: with a slash in it, the cohort would be written outside.
    if not _NAME.fullmatch(name):
        raise UserError(
            f"cohort name '{name}': a name is made of letters, digits, '_', '-' and '.', is up to 100 long, and "
            f"starts with a letter, digit or '_'; give another one with --as, or alias in Python"
        )
    if not isinstance(folds, int) or not LEAST_FOLDS <= folds <= MOST_FOLDS:
        raise UserError(
            f"cohort {name}: {folds} folds; give a whole number from {LEAST_FOLDS} to {MOST_FOLDS}: one is tested, "
            f"one validates, the others train"
        )


def _used(values: Mapping[str, Any], tree: Any) -> dict[str, Any]:
    used = flow.parameters_of(tree)
    return {name: value for name, value in values.items() if name in used}


def _last_left(steps: Sequence[FlowStep]) -> str:
    """A sentence that names the step of the flow that leaves no image, and the number of images before it."""
    for before, step in itertools.pairwise(steps):
        if not step.images:
            return f"the step '{step.words}' leaves none of {before.images:,} images; widen its parameters"
    return "every step leaves some images, but the last SELECT leaves none; look at its conditions"


def _notes(header: Header) -> str:
    # A cohort that needs a linked table says so in its notes: without them its user looks for another parameter.
    return f"; note of the cohort: {'; '.join(header.notes)}" if header.notes else ""


def _members(
    con: duckdb.DuckDBPyConnection, chosen: pl.DataFrame, asked: CohortQuery, folds: int, salt: str
) -> pl.DataFrame:
    """Columns of CohortMembers without the cohort's name and digest, sorted by image_key.

    Folds are those of the salt; `_spread` changes them for some targets, and gives each fold its role.
    """
    # First refuse a SELECT whose columns cannot be used, with a sentence about the user's own query.
    where = asked.where
    if "image_key" not in chosen.columns:
        raise UserError(f"{where}: its last SELECT has no column image_key; add it")
    if chosen["image_key"].null_count():
        raise UserError(f"{where}: {chosen['image_key'].null_count():,} rows have no image_key; leave them out")
    twice = chosen.filter(pl.col("image_key").is_duplicated())["image_key"].unique().sort()
    if len(twice):
        raise UserError(
            f"{where}: {len(twice):,} image_key values are duplicated (first: {twice[0]}); group or qualify its steps"
        )
    wanted = [name for name in _OWN_COLUMNS if name in chosen.columns]
    if "split" in wanted and chosen.schema["split"] != pl.String:
        raise UserError(f"{where}: column split is not text; give 'train', 'validation' or 'test'")
    if "weight" in wanted:
        weight = chosen["weight"]
        known = weight.dtype.is_numeric() and not weight.null_count()
        if not known or not (weight.cast(pl.Float64).is_finite() & weight.ge(0)).all():
            raise UserError(f"{where}: column weight must be a finite number, zero or more, in every row")
    # Patients and studies come from the catalog, never from the user's columns, so that folds cannot be forged.
    con.register("chosen_images", chosen.select(wanted).to_arrow())
    split = "chosen_images.split" if "split" in wanted else "null::varchar"
    weight = "chosen_images.weight::double" if "weight" in wanted else "1.0::double"
    members = frame(
        con,
        f"select images.image_key, images.study_key, images.patient_key, images.patient_source, "
        f"fold_of($salt, images.patient_key, $folds) as fold, {split} as split, {weight} as weight "
        f"from chosen_images inner join images on chosen_images.image_key::uuid = images.image_key "
        f"order by images.image_key",
        {"salt": salt, "folds": folds},
        where,
    )
    con.unregister("chosen_images")
    if members.height != chosen.height:
        raise UserError(
            f"{where}: {chosen.height - members.height:,} image_key values are not in images; select from eligible"
        )
    # Without a patient id two images of one patient could fall into two folds.
    no_patient = members.filter(pl.col("patient_source") == "none")
    if no_patient.height:
        raise UserError(
            f"{where}: {no_patient.height:,} images have no patient id (first: {no_patient['image_key'][0]}); add a "
            f"step `where patient_source != 'none'`"
        )
    members = members.drop("patient_source")
    members = _given_split(members, where, folds) if "split" in wanted else members
    return members.with_columns(pl.col("fold").cast(pl.Int64))


def _folded(members: pl.DataFrame, where: str, folds: int) -> pl.DataFrame:
    """The members with the role of each fold under rotation 0; UserError where a fold is empty."""
    found = members["fold"].unique().sort().to_list()
    if len(found) < folds:
        missing = sorted(set(range(folds)) - set(found))
        raise UserError(
            f"{where}: its {members['patient_key'].n_unique():,} patients leave fold {missing[0]} of {folds} empty; "
            f"use fewer folds, another salt or more patients"
        )
    role = pl.when(pl.col("fold") == 0).then(pl.lit("test")).when(pl.col("fold") == 1).then(pl.lit("validation"))
    return members.with_columns(role.otherwise(pl.lit("train")).alias("split"))


def _given_split(members: pl.DataFrame, where: str, folds: int) -> pl.DataFrame:
    """The checked split of the SELECT; if it has no validation side, one is cut from its training patients."""
    wrong = members.filter(~pl.col("split").is_in(SPLITS) | pl.col("split").is_null())
    if wrong.height:
        raise UserError(f"{where}: split '{wrong['split'][0]}' is not one of {', '.join(SPLITS)}; correct the SELECT")
    torn = patients_on_two_sides(members)
    if torn.height:
        raise CheckFailed(
            f"{where}: {torn.height:,} patients are on two sides of the split (first: {torn['patient_key'][0]}); "
            f"give each patient one side"
        )
    if "validation" not in members["split"].unique():
        cut = (pl.col("split") == "train") & (pl.col("fold") == 1 % folds)
        members = members.with_columns(pl.when(cut).then(pl.lit("validation")).otherwise("split").alias("split"))
    for role in SPLITS:
        if role not in members["split"].unique():
            raise UserError(f"{where}: the {role} split is empty; give every side some patients")
    return members.with_columns(pl.lit(-1).alias("fold"))


def _require_pixels(con: duckdb.DuckDBPyConnection, members: pl.DataFrame, store: str, where: str) -> None:
    con.register("chosen_images", members.select("image_key").to_arrow())
    missing = frame(
        con,
        "select image_key from chosen_images anti join (select image_key from pixels where store = $store) as stored "
        "on chosen_images.image_key::uuid = stored.image_key order by image_key",
        {"store": store},
        where,
    )
    con.unregister("chosen_images")
    if missing.height:
        raise UserError(
            f"{where}: {missing.height:,} members are not in the pixel store {store} (first: "
            f"{missing['image_key'][0]}); ingest them with their pictures, or freeze with --no-require-pixels"
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Values of the header's targets, read from the last SELECT."""

    rows: pl.DataFrame
    """CohortTargets without the digest."""
    targets: tuple[Target, ...]
    """The usable targets of the header, with their classes."""
    unusable: dict[str, str]
    """Name of each unusable target, and the reason."""
    sentences: tuple[str, ...]
    strata: pl.DataFrame | None
    """patient_key, label, answer: answers that should be spread evenly over the folds."""


def _targets(chosen: pl.DataFrame, members: pl.DataFrame, asked: CohortQuery) -> _Found:
    """Freeze all targets of the header.

    An unusable target does not stop the cohort: in an archive of one sex patient_sex is unusable, but ages are not.
    """
    of_patients = members.select("image_key", "patient_key")
    chosen = chosen.drop("patient_key", strict=False).join(of_patients, on="image_key", how="left")
    frozen: list[Frozen] = []
    unusable: dict[str, str] = {}
    for target in asked.header.targets:
        try:
            made = TARGETS.find(target.kind).frozen(chosen, target, asked.where)
            refuse_names(made.target)
            frozen.append(made)
        except Unusable as reason:
            unusable[target.name] = str(reason)
    empty = CohortTargets.create_empty().select("image_key", "target", "value", "label")
    long = pl.concat([empty, *(each.rows for each in frozen)]).sort("image_key", "target", "label")
    strata = [each.strata for each in frozen if each.strata is not None]
    return _Found(
        long,
        tuple(each.target for each in frozen),
        unusable,
        tuple(sentence for each in frozen for sentence in each.sentences),
        pl.concat(strata).unique() if strata else None,
    )


def _spread(
    members: pl.DataFrame, strata: pl.DataFrame | None, asked: CohortQuery, folds: int, salt: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Members with folds that spread `strata` evenly, and sentences about answers that a fold lacks.

    A split that the SELECT gave is kept.
    """
    if (members["fold"] < 0).all():
        return members, () if strata is None else tuple(lacking(members, strata, SPLITS, "split", asked.where))
    if strata is None:
        return _folded(members, asked.where, folds), ()
    # Empty folds are refused after this: the salt alone may leave one empty where dealing fills all.
    fold = stratified_folds(members["patient_key"].to_list(), strata, folds, salt)
    dealt = members.with_columns(pl.col("patient_key").replace_strict(fold, return_dtype=pl.Int64).alias("fold"))
    return _folded(dealt, asked.where, folds), tuple(lacking(dealt, strata, range(folds), "fold", asked.where))


def _sentences(
    con: duckdb.DuckDBPyConnection,
    asked: CohortQuery,
    values: Mapping[str, Any],
    members: pl.DataFrame,
    chosen: pl.DataFrame,
) -> tuple[str, ...]:
    """Sentences of the header's `-- report:` queries about the members, one for each row."""
    if not asked.header.reports:
        return ()
    found: list[str] = []
    extra = [name for name in chosen.columns if name not in members.columns]
    con.register("member_rows", members.join(chosen.select("image_key", *extra), on="image_key").to_arrow())
    con.execute(
        "create or replace temp view chosen_members as select * replace (image_key::uuid as image_key) from member_rows"
    )
    for name, text in _reports(asked):
        header = read_header(text, name)
        one_select(text, f"{asked.where}, {name}", known_tables(con) | {"chosen_members"})
        known = {each.name for each in header.parameters}
        rows = run_file(con, name, {key: value for key, value in values.items() if key in known})
        found += rows["sentence"].to_list()
    con.execute("drop view chosen_members")
    con.unregister("member_rows")
    return tuple(found)


def _stop_at(offenders: list[tuple[str, str, pl.DataFrame]], where: str) -> None:
    for code, title, rows in offenders:
        keys = [str(value) for value in rows.row(0) if value is not None]
        raise CheckFailed(
            f"{where}: {code}: {title}: {rows.height:,} found, first {', '.join(keys)}; leave them out, or freeze the "
            f"cohort again"
        )
