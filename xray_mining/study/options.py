"""The study file: one YAML file that combines the options of all packages."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, PrivateAttr, create_model, model_validator

from xray_mining.catalog.options import CohortOptions
from xray_mining.errors import UserError, unknown_name
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.ingest.options import IngestOptions
from xray_mining.models.kinds import kind_of
from xray_mining.models.options import DesignOptions, Options
from xray_mining.models.stated import ExperimentOptions
from xray_mining.stated_files import contents, find_files, placeless
from xray_mining.study.instruments import KINDS as INSTRUMENTS
from xray_mining.workspace import asset, digest_of, read_yaml

if TYPE_CHECKING:
    from xray_mining.features.options import FeatureOptions
    from xray_mining.models.options import EmbeddingOptions

_NAME = r"^[a-z][a-z0-9_]*$"


class Statements(BaseModel, extra="forbid", frozen=True):
    """Sentences that only a person can write; the page prints 'not stated' for empty ones."""

    intended_use: str = ""
    reference_standard: str = ""
    limitations: str = ""
    ethics: str = ""
    funding: str = ""


class _Beginning(BaseModel, extra="forbid", frozen=True):
    study: str = Field(pattern=_NAME, description="its name: letters, digits, underscores")
    question: str = Field(min_length=1, description="the question in one sentence")
    ingest: IngestOptions = IngestOptions()
    cohorts: dict[str, CohortOptions] = Field(min_length=1)


if TYPE_CHECKING:

    class _WithSets(_Beginning, extra="forbid", frozen=True):
        features: dict[str, FeatureOptions] = {}
        embeddings: dict[str, EmbeddingOptions] = {}
else:
    # Built from the registry, so that a study file can have the sets of a new instrument without a change here.
    _WithSets = create_model(
        "_WithSets",
        __base__=_Beginning,
        **{name: (dict[str, kind.options], {}) for name, kind in INSTRUMENTS.every().items()},
    )


class Study(_WithSets, extra="forbid", frozen=True):
    """One study file; it has a section of sets for each file of `study/instruments`."""

    experiments: dict[str, ExperimentOptions] = Field(min_length=1)
    design: DesignOptions = DesignOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    statements: Statements = Statements()
    _absent: dict[str, str] = PrivateAttr({})
    _missing: dict[str, str] = PrivateAttr({})
    _notes: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _names_are_known(self) -> "Study":
        for name, experiment in self.experiments.items():
            where = f"experiments.{name}"
            _known(f"{where}.cohort", [experiment.cohort], self.cohorts)
            model = kind_of(experiment)
            for section, keys in model.sets(experiment).items():
                _known(f"{where}.{section}", keys, self.sets(section))
            _known(f"{where}.members", model.members(experiment), self.experiments)
        return self

    def sets(self, section: str) -> Mapping[str, BaseModel]:
        """Options of the sets in a section, such as `features` or `embeddings`, by name.

        Raises:
            UserError: If no kind of instrument has this section.
        """
        INSTRUMENTS.find(section)
        return getattr(self, section)

    @property
    def digest(self) -> str:
        """Digest of the study file and of the content of the files it names; their paths do not matter."""
        options = placeless(self)
        files = contents(self)
        return digest_of([options, files] if files else options)

    @property
    def absent(self) -> dict[str, str]:
        """Experiments that were left out because a package is not installed, each with the reason."""
        return self._absent

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on files that were found in several places, so that another one may be meant."""
        return self._notes

    def refuse_missing(self, *sections: str) -> None:
        """UserError for the first missing file of these sections (such as experiments.NAME), or of all sections."""
        for key, sentence in self._missing.items():
            if not sections or key.startswith(tuple(f"{each}." for each in sections)):
                raise UserError(sentence)

    def refuse_missing_of(self, experiment: str) -> None:
        """UserError for a missing file that an experiment needs; an unknown experiment raises nothing here."""
        options = self.experiments.get(experiment)
        if options is not None:
            found = kind_of(options).sets(options)
            sets = [f"{section}.{key}" for section, keys in found.items() for key in keys]
            self.refuse_missing(f"experiments.{experiment}", f"cohorts.{options.cohort}", *sets)

    def said(self) -> dict[str, str]:
        """The authors' statements, with a sentence about experiments that were left out."""
        statements = self.statements.model_dump()
        if self._absent:
            statements["absent"] = " ".join(f"{name} is absent: {reason}." for name, reason in self._absent.items())
        return statements

    def that_can_run(self) -> "Study":
        """The study without the experiments that need a package that is not installed.

        An ensemble keeps its other members if at least two are left. Raises UserError with the first reason if no
        experiment is left.
        """
        missing = {
            (section, key): reason
            for section, kind in INSTRUMENTS.every().items()
            for key, each in self.sets(section).items()
            if (reason := kind.missing(each))
        }
        absent: dict[str, str] = {}
        kept: dict[str, Options] = {}
        for name, each in self.experiments.items():
            model = kind_of(each)
            read = [(section, key) for section, keys in model.sets(each).items() for key in keys]
            reasons = [missing[one] for one in read if one in missing]
            if reason := model.missing(each):
                reasons.append(reason)
            if reasons:
                absent[name] = reasons[0]
            else:
                kept[name] = each
        for name, each in list(kept.items()):
            if gone := [member for member in kind_of(each).members(each) if member in absent]:
                left = kind_of(each).without(each, gone)
                if isinstance(left, str):
                    absent[name] = left
                    del kept[name]
                else:
                    kept[name] = left
        if not kept:
            raise UserError(next(iter(absent.values())))
        study = self.model_copy(update={"experiments": kept})
        study._absent = absent
        return study

    def cohort_name(self, key: str) -> str:
        """Name of one of the study's cohorts in the workspace."""
        return f"{self.study}-{key}"


def _known(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(str(unknown_name(where, name, known)))


def read_study(name_or_path: str, folders: Sequence[Path] = ()) -> Study:
    """Read a study, given the name of a shipped one or the path of its YAML file.

    Files that it names are searched beside the study file first, then in `folders` (by default the current folder). A
    missing file is refused only when it is needed; see `Study.refuse_missing`.

    Args:
        name_or_path: Name of a shipped study, or the path of a YAML file.
        folders: Folders to search for files that the study names.

    Returns:
        The study, without experiments that need a package that is not installed.

    Raises:
        UserError: If the study is unknown, or its file is missing or invalid.

    Example:
        >>> sorted(read_study("demo").cohorts)
        ['age', 'groups']
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        shipped = asset("pipelines/studies")
        known = {each.stem: each for each in shipped.glob("*.yaml")}
        if name_or_path not in known:
            raise unknown_name("study", name_or_path, known)
        path = known[name_or_path]
    if not path.is_file():
        raise UserError(f"{path}: the file is missing; name a study file, or a shipped study (see pipelines/studies)")
    # The study file may be a symbolic link; the files that it names may be beside the link or beside its target.
    places = (path.parent, path.resolve().parent, *(folders or [Path.cwd()]))
    study, search = find_files(read_yaml(Study, path), list(dict.fromkeys(each.resolve() for each in places)))
    study._missing, study._notes = search.missing, search.notes
    return study.that_can_run()
