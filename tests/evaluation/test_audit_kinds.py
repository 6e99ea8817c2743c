"""Audits are kinds: one file each, documented, and never silent."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from xray_mining.evaluation.audits import AUDITS, AuditedCohort, AuditedTask, audits_of
from xray_mining.evaluation.audits._audit import Audit, Figure, NotApplicable, Verdict
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.evaluate import evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.task import KINDS
from xray_mining.records.check_results import OUTCOMES, SEVERITIES
from xray_mining.records.cohort import Target
from xray_mining.reporting.page import write

ROOT = Path(__file__).parents[2]
EVERY = AUDITS.every()
OF_TASKS = [name for name, each in EVERY.items() if each.subject is AuditedTask]


def test_codes_are_unique_among_all_checks():
    codes = [each.code for each in EVERY.values()]
    shipped = [path.name[:6].upper() for path in (ROOT / "sql/checks").glob("*.sql")]
    assert len(set(codes)) == len(codes)
    # COH001 asks the same of an archive that the audit asks of a cohort.
    assert set(codes) & set(shipped) <= {"COH001"}
    assert {each.code for subject in (AuditedTask, AuditedCohort) for each in audits_of(subject)} == set(codes)


@pytest.mark.parametrize("name", EVERY)
def test_an_audit_is_documented_where_its_table_is(name):
    each = EVERY[name]
    assert f"`{each.code}`" in (ROOT / "docs/statistics.md").read_text(encoding="utf-8"), each.code
    assert re.fullmatch(r"[A-Z]+\d{3}", each.code) and each.severity in SEVERITIES and each.title
    assert re.fullmatch(r"[a-z_]*", each.family), "a part of the anchor of its table on the page"
    module = sys.modules[f"xray_mining.evaluation.audits.{name}"]
    assert (module.__doc__ or "").startswith(f"{each.code}: ")


@pytest.mark.parametrize("kind", KINDS.names())
@pytest.mark.parametrize("name", OF_TASKS)
def test_without_a_model_an_audit_says_so_rather_than_nothing(name, kind):
    units = pl.DataFrame({"study_year": [2014], "patient_key": ["a"], "fold": [0]})
    target = Target("made", kind, classes=("no", "yes"), positive="yes", made_of_from="header")
    truth = np.empty((0, 2)) if kind == "labels" else np.empty(0)
    task: Any = SimpleNamespace(
        name="c/made", kind=KINDS.find(kind), target=target, models={}, units=units, patients=1, metric="mae",
        truth=truth, latest=[], labels=np.array([], dtype=str), owner=np.array([], dtype=int),
        cohort=None, level="", parts={},
    )  # fmt: skip
    audited = AuditedTask(task, EvaluationOptions(), Choice("", "", "", "", {}))
    _, rows = EVERY[name].run(audited)
    assert rows and {row.outcome for row in rows} <= set(OUTCOMES)
    assert all(row.sentence.startswith("c/made: ") and len(row.sentence) > len("c/made: ") + 5 for row in rows)


def test_an_audit_that_one_file_adds_is_run_and_printed(study, tmp_path, monkeypatch):
    def measure(audited: AuditedTask) -> int | NotApplicable:
        return audited.task.patients if audited.best else NotApplicable("no model was chosen.")

    kind = Audit(
        code="MOON001",
        title="whether the moon was full",
        severity="warning",
        subject=AuditedTask,
        measure=measure,
        tell=lambda _, found: [Verdict("failed", f"{found} patients came at full moon.", found)],
        figures=lambda _, found: [Figure(words="by the moon", metric="moons", patients=found, value=1.0)],
        family="drift",
    )
    module = ModuleType("xray_mining.evaluation.audits.moon")
    monkeypatch.setattr(module, "KIND", kind, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = AUDITS.names()
    monkeypatch.setattr(AUDITS, "names", lambda: sorted([*names, "moon"]))
    made = study(patients=60, pictures=False)
    evaluate(made.workspace, "made", EvaluationOptions(bootstraps=100))
    folder = made.workspace.evaluation("made")
    found = pl.read_parquet(folder / "check_results.parquet").filter(code="MOON001")
    assert found["outcome"].to_list() == ["failed"] * 2
    assert pl.read_parquet(folder / "audits.parquet").filter(code="MOON001")["metric"].to_list() == ["moons"] * 2
    write(folder, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "whether the moon was full" in text and "patients came at full moon" in text and "by the moon" in text
