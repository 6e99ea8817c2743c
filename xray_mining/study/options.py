"""The study file: one YAML that composes the rooms' options."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, Field, model_validator

from xray_mining.catalog.options import CohortOptions
from xray_mining.errors import UserError, unknown_name
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.features.options import FeatureOptions
from xray_mining.ingest.options import IngestOptions
from xray_mining.models.options import DesignOptions, EmbeddingOptions, ExperimentOptions
from xray_mining.workspace import asset, digest_of, read_yaml

_NAME = r"^[a-z][a-z0-9_]*$"


class Statements(BaseModel, extra="forbid", frozen=True):
    """Sentences that only a person can write; the page says 'not stated' where they are empty."""

    intended_use: str = ""
    reference_standard: str = ""
    limitations: str = ""
    ethics: str = ""
    funding: str = ""


class Study(BaseModel, extra="forbid", frozen=True):
    """One study file."""

    study: str = Field(pattern=_NAME, description="its name: letters, digits, underscores")
    question: str = Field(min_length=1, description="the question in one sentence")
    ingest: IngestOptions = IngestOptions()
    cohorts: dict[str, CohortOptions] = Field(min_length=1)
    features: dict[str, FeatureOptions] = {}
    embeddings: dict[str, EmbeddingOptions] = {}
    experiments: dict[str, ExperimentOptions] = Field(min_length=1)
    design: DesignOptions = DesignOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    statements: Statements = Statements()

    @model_validator(mode="after")
    def _names_are_known(self) -> "Study":
        for name, experiment in self.experiments.items():
            where = f"experiments.{name}"
            _known(f"{where}.cohort", [experiment.cohort], self.cohorts)
            _known(f"{where}.features", getattr(experiment, "features", []), self.features)
            _known(f"{where}.embeddings", getattr(experiment, "embeddings", []), self.embeddings)
            _known(f"{where}.members", getattr(experiment, "members", []), self.experiments)
        return self

    @property
    def digest(self) -> str:
        """Digest of everything the study file says."""
        return digest_of(self.model_dump(mode="json"))

    def cohort_name(self, key: str) -> str:
        """Name under which the workspace keeps one of the study's cohorts."""
        return f"{self.study}-{key}"


def _known(where: str, names: list[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(str(unknown_name(where, name, known)))


def read_study(name_or_path: str) -> Study:
    """A study by the name of one that ships, or by the path of its YAML file."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        shipped = asset("pipelines/studies")
        known = {each.stem: each for each in shipped.glob("*.yaml")}
        if name_or_path not in known:
            raise unknown_name("study", name_or_path, known)
        path = known[name_or_path]
    if not path.is_file():
        raise UserError(f"{path}: is not there; name a study file, or one that ships (see pipelines/studies)")
    return read_yaml(Study, path)
