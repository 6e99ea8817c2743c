"""Find the study that a command names, and check whether its results are up to date with its file."""

import json
from pathlib import Path

from xray_mining.errors import CheckFailed, UserError
from xray_mining.models.experiment import standings
from xray_mining.models.freshness import Standing
from xray_mining.models.notes import read_notes
from xray_mining.study.options import Study, read_study
from xray_mining.workspace import Workspace


def find_study(name_or_path: str, workspace: Workspace) -> Study:
    """Read a study, given the path of its YAML file, or the name of one that was run in this workspace or is shipped.

    Args:
        name_or_path: The path or name.
        workspace: The workspace, which records the file of each study that was run in it.

    Returns:
        The study, without experiments that need a package that is not installed.

    Raises:
        UserError: If there is no such study, or its file is missing or invalid.

    Example:
        >>> find_study(study_file, workspace).study
        's'
    """
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return read_study(name_or_path)
    source, folder = _as_run(name_or_path, workspace.root)
    if not source:
        return read_study(name_or_path)
    if Path(source).suffix and not Path(source).is_file():
        raise UserError(
            f"study {name_or_path}: the file {source}, from which it was run, is missing; give the path of its file"
        )
    return read_study(source, [Path(folder), Path.cwd()] if folder else [])


def refuse_old_evaluation(study: str, workspace: Workspace) -> None:
    """CheckFailed if the evaluation of a study is stale: its file or its predictions have changed since.

    Without the study file, the evaluation is compared with the existing predictions only.
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
        current = read_notes(workspace.experiment(study, name)).get("digest")
        if current and current != digest:
            raise CheckFailed(
                f"report: EVAL014: {name}: was trained again after the evaluation of study {study}; run `xray-mining "
                f"evaluate {study}` first"
            )


def refuse_stale_model(study: str, experiment: str, workspace: Workspace) -> None:
    """CheckFailed if an experiment's models are stale: its study file has other options now."""
    for each in _standings(study, workspace):
        if each.experiment == experiment and each.outcome == "stale":
            folder = workspace.experiment(study, experiment)
            raise CheckFailed(
                f"predict: EVAL014: {each.sentence}; to apply the existing model, name its folder {folder}"
            )


def weights_files(model: str, workspace: Workspace) -> tuple[Path, ...]:
    """Weights files of frozen networks in a model's study file; `model` is STUDY/EXPERIMENT or its folder."""
    study = str(read_notes(Path(model)).get("study") or model.rpartition("/")[0])
    try:
        embeddings = find_study(study, workspace).embeddings.values()
    except UserError:
        return ()
    return tuple(Path(each.weights) for each in embeddings if Path(each.weights).suffix)


def _standings(study: str, workspace: Workspace) -> tuple[Standing, ...]:
    """States of the experiments of a study; empty if its file is not known."""
    try:
        return standings(workspace, find_study(study, workspace))
    except UserError:
        return ()


def file_run(study: str, workspace: Path) -> str:
    """The file from which a study of this name was run in a workspace; the name itself if there is none."""
    root = workspace.resolve()
    source = _as_run(study, root)[0] if root.name else ""
    return source if Path(source).suffix and Path(source).is_file() else study


def _as_run(study: str, root: Path) -> tuple[str, str]:
    """The name or path that was given to `run` for this study, and the folder; empty if it was not run here."""
    path = root.with_name(f"{root.name}.private") / "snakemake" / study / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return str(config["study"]), str(config.get("cwd", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", ""
