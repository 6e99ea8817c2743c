"""The study that a command means, and whether what was made for it is what its file asks for today."""

import json
from pathlib import Path

from xray_mining.errors import CheckFailed, UserError
from xray_mining.models.experiment import standings
from xray_mining.models.freshness import Standing
from xray_mining.models.notes import read_notes
from xray_mining.study.options import Study, read_study
from xray_mining.workspace import Workspace


def find_study(name_or_path: str, workspace: Workspace) -> Study:
    """A study by the path of its YAML file, by the name under which it was run in this workspace, or a shipped one."""
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return read_study(name_or_path)
    source, folder = _as_run(name_or_path, workspace.root)
    if not source:
        return read_study(name_or_path)
    if Path(source).suffix and not Path(source).is_file():
        raise UserError(
            f"study {name_or_path}: its file {source}, by which it was run, is no longer there; name its file"
        )
    return read_study(source, [Path(folder), Path.cwd()] if folder else [])


def refuse_old_evaluation(study: str, workspace: Workspace) -> None:
    """CheckFailed where the evaluation of a study rests on other predictions than its file asks for today.

    Without its study file an evaluation is compared with the predictions that are there.
    """
    try:
        provenance = json.loads((workspace.evaluation(study) / "provenance.json").read_text(encoding="utf-8"))
        scored = {str(each["experiment"]): str(each["digest"]) for each in provenance["experiments"]}
    except (OSError, ValueError, KeyError, TypeError):
        return
    for each in _standings(study, workspace):
        if each.outcome == "stale" and each.experiment in scored:
            raise CheckFailed(f"report: EVAL014: {each.sentence}, then `xray-mining evaluate {study}`")
    for name, digest in scored.items():
        there = read_notes(workspace.experiment(study, name)).get("digest")
        if there and there != digest:
            raise CheckFailed(
                f"report: EVAL014: {name}: was trained again after the evaluation of study {study}; run `xray-mining "
                f"evaluate {study}` first"
            )


def refuse_stale_model(study: str, experiment: str, workspace: Workspace) -> None:
    """CheckFailed where an experiment's models were made by other options than its study file says today."""
    for each in _standings(study, workspace):
        if each.experiment == experiment and each.outcome == "stale":
            folder = workspace.experiment(study, experiment)
            raise CheckFailed(
                f"predict: EVAL014: {each.sentence}; to apply it as it was made, name its folder {folder}"
            )


def weights_files(model: str, workspace: Workspace) -> tuple[Path, ...]:
    """Weights files of frozen networks that a model's study file names; `model` is STUDY/EXPERIMENT or its folder."""
    study = str(read_notes(Path(model)).get("study") or model.rpartition("/")[0])
    try:
        embeddings = find_study(study, workspace).embeddings.values()
    except UserError:
        return ()
    return tuple(Path(each.weights) for each in embeddings if Path(each.weights).suffix)


def _standings(study: str, workspace: Workspace) -> tuple[Standing, ...]:
    """Of the study by this name, where its file is known."""
    try:
        return standings(workspace, find_study(study, workspace))
    except UserError:
        return ()


def file_run(study: str, workspace: Path) -> str:
    """The file by which a study of this name was run in a workspace's folder; without one, the name itself."""
    root = workspace.resolve()
    source = _as_run(study, root)[0] if root.name else ""
    return source if Path(source).suffix and Path(source).is_file() else study


def _as_run(study: str, root: Path) -> tuple[str, str]:
    """The name or path by which `run` was given the study of this name, and in which folder; empty if not run here."""
    path = root.with_name(f"{root.name}.private") / "snakemake" / study / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return str(config["study"]), str(config.get("cwd", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", ""
