"""Sixty patients with small pictures, read once; cohorts, experiments and evaluations on them are made by each test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from small_archive import lay_out, read

from xray_mining.catalog.cohort import freeze
from xray_mining.evaluation.evaluate import EvaluateSummary, evaluate
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.features.instrument import Features
from xray_mining.models.experiment import run, standings
from xray_mining.records.check_results import CheckResults
from xray_mining.sets.measure import measure
from xray_mining.study.options import Study
from xray_mining.workspace import Workspace

PATIENTS = 60
SQL = """-- question: everybody, for a test
-- one row: one image
-- target: {target} {kind}
-- made of: findings
-- example: xray-mining cohort {target}
with
-- step: files that are there
everybody as (
    select
        i.image_key,
        (select max(f.value) from findings as f where f.image_key = i.image_key and f.name = 'number') as number
    from eligible as i
),

-- step: those with a value
chosen as (
    select image_key, {expression} as {target} from everybody where {where}
)

select image_key, {target} from chosen
"""


@dataclass
class Small:
    """A workspace, and a study of one cohort and one target on it."""

    workspace: Workspace
    study: Study

    def train(self, *names: str) -> None:
        """Fit these experiments, or all that the file names."""
        for name in names or self.study.experiments:
            run(self.workspace, self.study, name)

    def evaluate(self) -> tuple[EvaluateSummary, pl.DataFrame]:
        """Score them by today's study; the summary and the checks."""
        made = evaluate(
            self.workspace,
            self.study.study,
            EvaluationOptions(bootstraps=100),
            standings=standings(self.workspace, self.study),
        )
        return made, CheckResults.read([self.workspace.evaluation(self.study.study) / "check_results.parquet"])

    def changed(self, **changes: Any) -> "Small":
        """The same workspace under a study file that says something else."""
        return Small(self.workspace, Study.model_validate(self.study.model_dump(mode="json") | changes))


@pytest.fixture(scope="session")
def small_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Patient i has number i, an age of 20 + i years, a sex by turns, and a picture that shows the number a little."""
    folder = tmp_path_factory.mktemp("small")
    lay_out(folder, PATIENTS, view=False, findings="{number: {column: number, kind: number}}")
    return read(folder)


@pytest.fixture
def small(small_workspace: Workspace, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Small]:
    """small(kind, expression, experiments): a study of one cohort `c` whose target is an expression of `number`."""

    def make(
        kind: str, expression: str, experiments: dict[str, dict[str, Any]], *, where: str = "true", **more: Any
    ) -> Small:
        query = tmp_path / "everybody.sql"
        query.write_text(SQL.format(target="t", kind=kind, expression=expression, where=where))
        given = {
            "study": f"s{abs(hash(request.node.nodeid)):x}",
            "question": "Which?",
            "cohorts": {"c": {"query": str(query), **more.pop("cohort", {})}},
            "features": {"f": {"families": ["intensity"], "side_px": 64}, "g": {"families": ["border"], "side_px": 64}},
            "experiments": {name: {"cohort": "c", "target": "t"} | each for name, each in experiments.items()},
            **more,
        }
        study = Study.model_validate(given)
        cohort = freeze(small_workspace, str(query), study.cohort_name("c"), {}, study.cohorts["c"].folds)
        for key, options in study.features.items():
            measure(small_workspace, cohort, key, Features(options))
        return Small(small_workspace, study)

    return make
