"""The ledger: commands that were run, their times, inputs, digests and versions."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from xray_mining.reporting.metrics import duration
from xray_mining.reporting.results import Results, TestRead
from xray_mining.reporting.section import Block, Cell, Code, Column, Part, Row, Section, Table

ORDER = 98


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """Tables of runs, experiments, test reads, cohorts and versions, then commands, study file and options."""
    provenance = results.provenance
    blocks: list[Block] = []
    if results.ledger.height:
        blocks.append(_runs(results))
    if results.experiments:
        blocks.append(_experiments(results))
    if provenance.test_reads:
        blocks.append(_reads(provenance.test_reads))
    if commands := provenance.commands:
        # Paths are left out of the commands, because the page may leave the hospital.
        steps = "\n".join(each if each.startswith("xray-mining ") else f"xray-mining {each}" for each in commands)
        again = f"xray-mining run {results.study} --archive FOLDER --workspace FOLDER"
        blocks.append(Code(f"Commands in order, without folders; to repeat all of them: {again}", steps))
    cohorts = [
        Row(
            (
                Cell(results.cohort_words(each["cohort"])),
                Cell(each.get("query", "")),
                Cell(each.get("digest", ""), mark="digest"),
                Cell(each.get("catalog_digest", ""), mark="digest"),
                Cell(each.get("salt", "")),
                Cell(each.get("store", "")),
            )
        )
        for each in results.cohorts
    ]
    if cohorts:
        heads = tuple(
            Column(title) for title in ("Cohort", "SQL file", "Digest", "Catalog digest", "Salt", "Pixel store")
        )
        blocks.append(Table("ledger-cohorts", "Cohorts and their digests", heads, tuple(cohorts)))
    versions = provenance.versions
    if versions:
        rows = tuple(Row((Cell(name), Cell(str(version)))) for name, version in sorted(versions.items()))
        blocks.append(Table("ledger-versions", "Versions", (Column("Package"), Column("Version")), rows))
    if provenance.study:
        blocks.append(Code("The study file", _yaml(provenance.study)))
    blocks += [Code(f"Options of {each.get('experiment', '')}", _yaml(each)) for each in provenance.experiments]
    if not blocks:
        return Section("ledger", "Ledger", "There is no record of how these figures were made; do not trust them.")
    seeds = ", ".join(str(seed) for seed in provenance.seeds) or "none"
    digest = provenance.study_digest
    sentence = f"Everything that is needed to compute these figures again. Seeds: {seeds}." + (
        f" Digest of the study file: {digest}." if digest else ""
    )
    # Source texts are long, so they are last.
    folded = [block for block in blocks if isinstance(block, Code)]
    shown = [block for block in blocks if not isinstance(block, Code)]
    if folded:
        shown.append(Part("As written", tuple(folded)))
    return Section("ledger", "Ledger", sentence, tuple(shown))


def _runs(results: Results) -> Table:
    rows = [
        Row(
            (
                Cell(row["stage"]),
                Cell(row["subject"]),
                Cell(row["command"]),
                Cell(f"{row['started']:%Y-%m-%d %H:%M}", value=row["started"].replace(tzinfo=UTC).timestamp()),
                Cell(duration(row["seconds"]), value=row["seconds"]),
                Cell(row["outcome"], mark="failed" if row["outcome"] != "done" else ""),
            )
        )
        for row in results.ledger.sort("started", "run").iter_rows(named=True)
    ]
    heads = (
        Column("Stage"),
        Column("On"),
        Column("Command"),
        Column("Started, UTC", numeric=True),
        Column("Took", numeric=True),
        Column("Outcome"),
    )
    return Table("ledger-runs", "What was run", heads, tuple(rows))


def _experiments(results: Results) -> Table:
    rows = []
    for note in results.experiments.values():
        licences = "; ".join(f"{name}: {licence}" for name, licence in note.licences.items())
        rows.append(
            Row(
                (
                    Cell(note.words, note.model),
                    Cell(results.cohort_words(note.cohort), note.target.replace("_", " ")),
                    Cell(note.seed_words),
                    Cell(", ".join(str(number) for number in note.rotations)),
                    Cell(duration(note.seconds), value=note.seconds),
                    Cell(note.digest, mark="digest"),
                    Cell(licences or "–"),
                ),
                kind=note.model_kind,
            )
        )
    heads = (
        Column("Model"),
        Column("Task"),
        Column("Seeds"),
        Column("Rotations"),
        Column("Took", numeric=True),
        Column("Digest"),
        Column("Licence of weights"),
    )
    return Table("ledger-experiments", "Experiments", heads, tuple(rows))


def _reads(reads: Sequence[TestRead]) -> Table:
    rows = tuple(
        Row(
            (
                Cell(each.experiment.replace("_", " ")),
                Cell(each.target.replace("_", " ")),
                Cell(f"{each.files:,}", value=each.files),
                Cell(f"{each.evaluations:,}", value=each.evaluations),
            )
        )
        for each in reads
    )
    heads = (
        Column("Model"),
        Column("Target"),
        Column("Files of predictions", numeric=True),
        Column("Evaluations", numeric=True),
    )
    return Table("ledger-test-reads", "How often the test predictions were used", heads, rows)


def _yaml(value: Any) -> str:
    import yaml

    if isinstance(value, str):
        return value
    plain = json.loads(json.dumps(value, default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100).rstrip()
