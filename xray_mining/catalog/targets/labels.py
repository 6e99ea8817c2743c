"""Several labels of an image, each true, false, uncertain or unknown."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from xray_mining.catalog.targets import Frozen, Unusable
from xray_mining.catalog.targets._columns import column_of, wrong_type
from xray_mining.catalog.targets._sources import determines_labels
from xray_mining.errors import UserError
from xray_mining.records.cohort import Target
from xray_mining.records.small_counts import LEAST_PATIENTS, is_small

RULES = ("ignore", "zeros", "ones")
"""How an answer that is neither true nor false is read: as masked, false or true (Irvin et al. 2019)."""
_WORD = re.compile(r"^(uncertain|unknown)=(ignore|zeros|ones)$|^least=([1-9]\d*)$")
_ANSWERS = {
    "true": ("true", "yes", "present", "positive", "1", "1.0", "t"),
    "false": ("false", "no", "absent", "negative", "0", "0.0", "f"),
    "uncertain": ("uncertain", "-1", "-1.0"),
    "unknown": ("unknown", ""),
}
_READ = {word: answer for answer, words in _ANSWERS.items() for word in words}


class Labels:
    """A map, a struct or a list of labels in one column; null where all labels of an image are unknown."""

    example = "findings labels uncertain=ignore unknown=ignore least=10"

    def declared(self, name: str, words: str, where: str) -> Target:
        """The words are the policy; by default answers are masked and a label needs ten patients of each answer."""
        policy = {"uncertain": "ignore", "unknown": "ignore", "least": str(LEAST_PATIENTS)}
        for word in words.split():
            if not _WORD.match(word):
                raise UserError(
                    f"{where}: target '{name}': '{word}' is not a policy of labels; write uncertain= or unknown= with "
                    f"{', '.join(RULES)}, or least= with a number of patients"
                )
            key, _, value = word.partition("=")
            policy[key] = value
        return Target(name, "labels", policy=" ".join(f"{key}={value}" for key, value in policy.items()))

    def words(self, target: Target) -> str:
        """The policy."""
        return target.policy

    def frozen(self, chosen: pl.DataFrame, target: Target, where: str) -> Frozen:
        """A row for each image and label; labels with too few patients are left out with a sentence."""
        answers = _answers_of(chosen, target, where)
        policy = dict(each.split("=") for each in target.policy.split())
        taken = {"true": 1.0, "false": 0.0, **{key: _value(policy[key]) for key in ("uncertain", "unknown")}}
        rows = answers.with_columns(value=pl.col("answer").replace_strict(taken, return_dtype=pl.Float64))
        found, sentences = _enough(rows, answers, target, int(policy["least"]), where)
        if not found:
            raise Unusable(f"target '{target.name}' has no label left; {sentences[0] if sentences else 'none occurs'}")
        target = replace(target, classes=tuple(found))
        kept = rows.filter(pl.col("label").is_in(found)).with_columns(target=pl.lit(target.name))
        known = pl.when(pl.col("value") == 1).then(pl.lit("true")).when(pl.col("value") == 0).then(pl.lit("false"))
        strata = kept.select("patient_key", "label", answer=known).drop_nulls("answer").unique()
        return Frozen(target, kept.select("image_key", "target", "value", "label"), tuple(sentences), strata)

    def determined_by(self, column: pl.Series, target: Target, values: pl.Series, labels: pl.Series) -> bool:
        """True if the column determines one of the labels."""
        frame = pl.DataFrame({"level": column, "value": values.cast(pl.String), "label": labels})
        return any(determines_labels(each["level"], each["value"], 2) for _, each in frame.group_by("label"))


def _value(rule: str) -> float | None:
    return {"ignore": None, "zeros": 0.0, "ones": 1.0}[rule]


def _answers_of(chosen: pl.DataFrame, target: Target, where: str) -> pl.DataFrame:
    """image_key, patient_key, label and answer (true, false, uncertain, unknown) of every image and label."""
    column = column_of(chosen, target, where)
    keys = chosen.select("image_key", "patient_key")
    if isinstance(column.dtype, pl.Map):
        column = column.cast(pl.List(pl.Struct({"key": column.dtype.key, "value": column.dtype.value})))
    kind = column.dtype
    if isinstance(kind, pl.Struct):
        given = pl.concat(
            keys.with_columns(label=pl.lit(field.name), given=column.struct.field(field.name).cast(pl.String))
            for field in kind.fields
        )
    elif isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct) and len(kind.inner.fields) == 2:
        # A map, or list((name, value)) without map_from_entries around it.
        entries = keys.with_columns(entry=column).explode("entry").drop_nulls("entry")
        name, value = (field.name for field in kind.inner.fields)
        given = entries.select(
            "image_key",
            "patient_key",
            label=pl.col("entry").struct.field(name).cast(pl.String),
            given=pl.col("entry").struct.field(value).cast(pl.String),
        )
    elif isinstance(kind, pl.List) and kind.inner == pl.String:
        given = _of_names(keys, column)
    else:
        raise wrong_type(column, target, where)
    _refuse_two_answers(given, target, where)
    every = keys.join(given.select("label").drop_nulls().unique(), how="cross")
    whole = every.join(given.select("image_key", "label", "given"), on=["image_key", "label"], how="left")
    words = whole["given"].fill_null("unknown").str.to_lowercase().str.strip_chars()
    for word in sorted(set(words.unique()) - set(_READ)):
        raise UserError(
            f"{where}: target '{target.name}': '{word}' is not an answer ({(words == word).sum():,} times); give "
            f"booleans, 1, 0 and -1, or true, false, uncertain and unknown"
        )
    answers = whole.with_columns(answer=words.replace_strict(_READ, return_dtype=pl.String))
    return answers.select("image_key", "patient_key", "label", "answer").sort("image_key", "label")


def _of_names(keys: pl.DataFrame, column: pl.Series) -> pl.DataFrame:
    """Answers from lists of true labels: all other labels are false; with a null list all are unknown."""
    listed = keys.with_columns(label=column)
    true = listed.explode("label").drop_nulls("label").unique(["image_key", "label"]).with_columns(given=pl.lit("true"))
    known = listed.filter(pl.col("label").is_not_null()).drop("label")
    every = known.join(true.select("label").unique(), how="cross")
    return every.join(true.drop("patient_key"), on=["image_key", "label"], how="left").with_columns(
        pl.col("given").fill_null("false")
    )


def _refuse_two_answers(given: pl.DataFrame, target: Target, where: str) -> None:
    twice = given.filter(pl.struct("image_key", "label").is_duplicated())
    if twice.height:
        label, image = twice.sort("image_key", "label").select("label", "image_key").row(0)
        raise UserError(
            f"{where}: target '{target.name}': an image has two answers for one label (first: '{label}' of {image}); "
            f"take one of them, as by max(value)"
        )


def _enough(
    rows: pl.DataFrame, answers: pl.DataFrame, target: Target, least: int, where: str
) -> tuple[list[str], list[str]]:
    """Labels with enough patients of each answer, sorted, and sentences about the other labels and masked answers."""
    patients = pl.col("patient_key")
    counted = rows.group_by("label").agg(
        true=patients.filter(pl.col("value") == 1).n_unique(),
        false=patients.filter(pl.col("value") == 0).n_unique(),
        neither=patients.n_unique() - patients.filter(pl.col("value").is_not_null()).n_unique(),
    )
    found, sentences = [], []
    for label, *counts in counted.sort("label").iter_rows():
        if min(counts[:2]) >= least:
            found.append(label)
            continue
        sentences.append(
            f"{where}: label '{label}' of target '{target.name}' is left out: {_sides(*counts)}, but {least:,} of each "
            f"are needed (least= in its header line)"
        )
    kept = answers.filter(pl.col("label").is_in(found), pl.col("answer").is_in(["uncertain", "unknown"]))
    if kept.height:
        rules = " ".join(target.policy.split()[:2])
        total = answers["image_key"].n_unique() * len(found)
        sentences.append(f"{where}: {_masked(kept, total, target)}; {rules}")
    return found, sentences


def _sides(true: int, false: int, neither: int) -> str:
    """How many patients a label is true and false in; no number if one of the three is small.

    The three add up to all patients, unless images of one patient differ, so two of them give the third away.
    """
    if any(map(is_small, (true, false, neither))):
        return f"true or false in fewer than {LEAST_PATIENTS} patients, or not known in so few"
    return f"true in {true:,} and false in {false:,} patients"


def _masked(kept: pl.DataFrame, total: int, target: Target) -> str:
    """How many answers are uncertain and unknown; no number if one label has one of them in few patients.

    The page prints how many patients each label is not known of, unless they are few: with a sum over labels, the few
    could be computed.
    """
    patients = kept.group_by("label", "answer").agg(pl.col("patient_key").n_unique())["patient_key"]
    counts: Mapping[str, Any] = dict(kept["answer"].value_counts().iter_rows())
    named = [each for each in ("uncertain", "unknown") if each in counts]
    if any(map(is_small, patients)):
        return f"some answers of target '{target.name}' are {' or '.join(named)}"
    said = " and ".join(f"{counts[each]:,} {each}" for each in named)
    return f"of {total:,} answers of target '{target.name}' {said}"


KIND = Labels()
