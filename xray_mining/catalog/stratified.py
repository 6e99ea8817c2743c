"""Folds of patients that keep rare answers in every fold: iterative stratification."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from xray_mining.catalog.folds import fold_of
from xray_mining.records.small_counts import is_small

ANSWER = ("label", "answer")
"""Columns that name an answer: a label, and whether it is true or false."""


def stratified_folds(patients: Sequence[str], strata: pl.DataFrame, folds: int, salt: str) -> dict[str, int]:
    """Assign patients to folds so that both answers of every label are spread as evenly as whole patients allow.

    Answers are dealt out from the rarest on: each patient with the answer goes to the fold that still needs most
    patients with this answer; ties go to the fold that needs most patients (Sechidis, Tsoumakas, Vlahavas 2011, on the
    stratification of multi-label data). The salt decides the order of patients, and so the remaining ties. No fold is
    empty if there are as many patients as folds, because an empty fold needs most patients of every answer.

    Args:
        patients: Keys of all patients.
        strata: Rows patient_key, label, answer: the known answers (true, false) of each patient, once each.
        folds: Number of folds.
        salt: As for `fold_of`.

    Returns:
        The fold of each patient key.
    """
    order = sorted(set(patients), key=lambda patient: (fold_of(salt, patient, 2**59), patient))
    row_of = {patient: row for row, patient in enumerate(order)}
    names = strata.select(ANSWER).unique().sort(ANSWER).rows()
    column = {name: number for number, name in enumerate(names)}
    has = np.zeros((len(order), len(names)), dtype=bool)
    for patient, *answer in strata.select("patient_key", *ANSWER).iter_rows():
        has[row_of[patient], column[tuple(answer)]] = True
    fold = np.full(len(order), -1)
    wanted = np.full(folds, len(order) / folds)
    wanted_of = np.tile(has.sum(axis=0) / folds, (folds, 1))

    def deal(row: int, need: np.ndarray) -> None:
        most = np.flatnonzero(need >= need.max() - 1e-9)
        chosen = int(most[np.argmax(wanted[most])])
        fold[row] = chosen
        wanted[chosen] -= 1
        wanted_of[chosen] -= has[row]

    while len(names):
        left = has[fold < 0].sum(axis=0)
        if not left.any():
            break
        label = int(np.argmin(np.where(left > 0, left, len(order) + 1)))
        for row in np.flatnonzero(has[:, label] & (fold < 0)):
            deal(int(row), wanted_of[:, label])
    for row in np.flatnonzero(fold < 0):
        deal(int(row), wanted)
    return dict(zip(order, fold.tolist(), strict=True))


def lacking(members: pl.DataFrame, strata: pl.DataFrame, groups: Sequence[int | str], by: str, where: str) -> list[str]:
    """A sentence for each answer that is missing in some fold (or split, `by`), with the patients of each fold.

    Numbers are printed only if all folds with the answer have enough patients: the sum over folds is in Table 1.
    """
    sides = members.select("patient_key", by).unique()
    counted = strata.join(sides, on="patient_key").group_by(*ANSWER, by).agg(pl.len().alias("patients"))
    counts = {tuple(key): number for *key, number in counted.select(*ANSWER, by, "patients").iter_rows()}
    sentences = []
    for label, answer in strata.select(ANSWER).unique().sort(ANSWER).iter_rows():
        here = [counts.get((label, answer, side), 0) for side in groups]
        if not all(here):
            sides = list(zip(groups, here, strict=True))
            told = f"patients in whom it is {answer}: {', '.join(f'{side}: {number:,}' for side, number in sides)}"
            if any(map(is_small, here)):
                told = (
                    f"no patient has this answer in {by} {', '.join(str(side) for side, number in sides if not number)}"
                )
            sentences.append(f"{where}: label '{label}' is not {answer} in every {by}; {told}")
    return sentences
