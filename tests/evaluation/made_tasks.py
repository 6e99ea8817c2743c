"""Tasks of each kind of target, made in memory, without a workspace."""

from typing import Any

import numpy as np
import polars as pl

from xray_mining.evaluation.audits import AUDITS, AuditedTask
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.task import Model, Task
from xray_mining.records.check_results import CheckRow
from xray_mining.records.cohort import FrozenCohort, Target

OPTIONS = EvaluationOptions(bootstraps=100)
CLASSES = {
    "number": (),
    "binary": ("no", "yes"),
    "group": ("a", "b", "c"),
    "ordinal": ("0", "1", "2", "3"),
    "labels": ("edema", "mass", "nodule"),
}
COHORT = FrozenCohort("c", "0" * 32, "c", "select 1", {}, "salt", 5, False, (), (), "1" * 32, "store")


def task_of(kind: str, patients: int = 400, seed: int = 0, at_most: int = 3) -> Task:
    """A task with one network that reads the truth with noise, over five folds; levels up to `at_most` occur."""
    rng = np.random.default_rng([seed, patients])
    classes = CLASSES[kind]
    target = Target("made", kind, classes=classes, positive="yes" if kind == "binary" else "", made_of_from="header")
    place = rng.integers(0, len(classes) or 80, patients).clip(max=80 if not classes else at_most)
    label = np.array([classes[each] for each in place]) if classes else np.full(patients, "")
    truth: Any = place.astype(float)
    values: Any = truth + rng.normal(0, 1, patients)
    if kind in ("group", "labels"):
        several = np.eye(len(classes))[place] if kind == "group" else (rng.random((patients, 3)) < 0.3).astype(float)
        values = 1 / (1 + np.exp(-2 * several - rng.normal(0, 1, several.shape)))
        truth = several if kind == "labels" else truth
    column = pl.Series("truth", truth, dtype=pl.Array(pl.Float64, 3) if kind == "labels" else pl.Float64)
    units = pl.DataFrame(
        {
            "unit_key": [f"{each:05}" for each in range(patients)],
            "patient_key": [f"{each:05}" for each in range(patients)],
            "patient_sequence": 0,
            "fold": np.arange(patients) % 5,
            "truth": column,
            "label": label if kind in ("binary", "group") else np.full(patients, ""),
            "patient_sex": rng.choice(["F", "M"], patients),
            "age_years": rng.uniform(20, 80, patients),
            "view_position": "PA",
            "manufacturer": "maker",
            "manufacturer_model_name": "model",
            "institution_key": "site",
            "archive": "made",
            "study_year": 2014,
        }
    )
    model = Model("net", "network", "digest", {}, {}, "image", (-1,), (0, 1, 2, 3, 4), 5, values, None, units.clear())
    return Task(COHORT, target, "image", units, {"net": model})


def audited(task: Task) -> AuditedTask:
    return AuditedTask(task, OPTIONS, Choice("net", "", "", "", {}))


def judged(name: str, task: Task) -> CheckRow:
    _, (row,) = AUDITS.find(name).run(audited(task))
    return row
