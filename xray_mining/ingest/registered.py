"""Data that a workspace keeps about each archive: its name, domain, source, mapping and rule for patient ids."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xray_mining.archive.adapter import Adapter, adapter_for
from xray_mining.archive.source import Source, source_at
from xray_mining.errors import UserError, unknown_name
from xray_mining.ingest import shards
from xray_mining.ingest.options import IngestOptions
from xray_mining.ingest.patient_ids import zero_of_numbered
from xray_mining.ingest.request import IngestRequest
from xray_mining.ingest.run import ShardTask, rows_digest, rows_made_from
from xray_mining.workspace import ArchiveSettings, Workspace, asset, lock, write_json

# In an archive's private folder: the address of its source, and the last request for it.
_ARCHIVE, _ASKED = "archive.json", "asked.json"
_ABOUT_ZERO = {"keep_zero", "zero_is_none"}
"""Rules that may differ within a domain: they state what 0 means in one archive."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def mapping_of(request: IngestRequest, options: IngestOptions) -> Path | None:
    """The requested mapping, by its path or as a shipped one; None without one."""
    if request.mapping is not None:
        return request.mapping.resolve()
    if options.mapping is None:
        return None
    path = Path(options.mapping)
    if path.suffix in (".yaml", ".yml"):
        return path.resolve()
    shipped = {path.stem: path for path in asset("pipelines/mappings").glob("*.yaml")}
    if options.mapping not in shipped:
        raise unknown_name("--mapping", options.mapping, shipped)
    return shipped[options.mapping]


def mapping_before(workspace: Workspace, request: IngestRequest, options: IngestOptions) -> Path | None:
    """The mapping of the last run, so that the command need not name it again."""
    if (request.adapter or options.adapter or "generic") != "generic":
        return None
    address = request.source.address
    for name, known in workspace.settings.archives.items():
        same = name == request.name if request.name is not None else address_of(workspace, name) == address
        if same and known.adapter == "generic":
            asked = asked_before(workspace, name)
            return mapping_in(asked) if asked is not None else None
    return None


def asked_before(workspace: Workspace, name: str) -> dict[str, Any] | None:
    """The last request for the archive, as `remember` wrote it."""
    try:
        return json.loads((shards.folder_of(workspace, name) / _ASKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def mapping_in(asked: dict[str, Any]) -> Path | None:
    """The mapping that `remember` wrote; None without one."""
    return Path(os.fsdecode(bytes.fromhex(asked["mapping"]))) if asked.get("mapping") else None


def register(workspace: Workspace, request: IngestRequest, adapter: Adapter, mapping: Path | None) -> str:
    """The archive's name in workspace.yaml, entered at its first ingest; its address is kept in the private folder."""
    address = request.source.address
    with lock(workspace.private / "settings.lock"):
        settings = workspace.settings
        addresses = {name: address_of(workspace, name) for name in settings.archives}
        name = request.name
        if name is None:
            # A folder's name may identify a person or a place, so the default name is the adapter's.
            mine = [each for each, other in addresses.items() if other == address]
            shipped = mapping is not None and mapping.parent == asset("pipelines/mappings")
            base = mapping.stem if mapping is not None and shipped else adapter.name
            names = [base, *(f"{base}_{number}" for number in range(2, len(addresses) + 3))]
            name = mine[0] if mine else next(each for each in names if each not in addresses)
        if not _NAME.fullmatch(name):
            raise UserError(
                f"--name {name}: a name consists of small letters, digits, '_' and '-', starts with a letter or digit, "
                f"and has at most 63 of them"
            )
        known = settings.archives.get(name)
        if known is None:
            domain = request.domain or adapter.domain or name
            if not _NAME.fullmatch(domain):
                raise UserError(f"--domain {domain}: a domain consists of small letters, digits, '_' and '-'")
            known = ArchiveSettings(domain=domain, adapter=adapter.name, order=len(settings.archives))
            archives = {**settings.archives, name: known}
            private = shards.folder_of(workspace, name)
            private.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_json({"address": os.fsencode(address).hex()}, private / _ARCHIVE)
            workspace.save(settings.model_copy(update={"archives": archives}))
        elif (before := addresses[name]) != address:
            if before is not None and source_at(before).is_there():
                raise UserError(
                    f"--name {name}: is another folder's name in this workspace; give this one its own name"
                )
            # The archive was moved: its relative paths, and so its keys, are the same.
            write_json({"address": os.fsencode(address).hex()}, shards.folder_of(workspace, name) / _ARCHIVE)
        if request.domain is not None and request.domain != known.domain:
            raise UserError(
                f"--domain {request.domain}: archive '{name}' was ingested under domain '{known.domain}'; its keys "
                f"cannot change. Ingest it under another --name or into a new workspace"
            )
        if adapter.name != known.adapter:
            raise UserError(
                f"--adapter {adapter.name}: archive '{name}' was read by '{known.adapter}'; give another --name, or "
                f"leave the option out"
            )
        if mapping is not None:
            copied = mapping.read_bytes() if mapping.is_file() else b""
            (shards.folder_of(workspace, name) / "mapping.yaml").write_bytes(copied)
    return name


def rule_of(workspace: Workspace, name: str, adapter: Adapter, options: IngestOptions) -> tuple[str, ...]:
    """The rule for the patient ids of an archive, requested now or before; all archives of a domain share it.

    If the rule does not state what 0 means, the table decides: see `zero_of_numbered`.
    """
    with lock(workspace.private / "settings.lock"):
        settings = workspace.settings
        known = settings.archives[name]
        others = {each: one for each, one in settings.archives.items() if one.domain == known.domain}
        asked = options.patient_id_rule
        if asked is not None:
            rule = asked
        elif known.patient_id_rule or len(others) == 1:
            rule = known.patient_id_rule
        else:
            rule = next((one.patient_id_rule for one in others.values() if one.patient_id_rule), ())
        rules = {each: rule if asked is not None else one.patient_id_rule for each, one in others.items()}
        if not {"keep_zero", "zero_is_none"} & set(rule) and zero_of_numbered(adapter.patient_ids()):
            rule = (*rule, "keep_zero")
        rules[name] = rule
        changed = {each: others[each].model_copy(update={"patient_id_rule": one}) for each, one in rules.items()}
        if changed != others:
            workspace.save(settings.model_copy(update={"archives": {**settings.archives, **changed}}))
    return rule


def archives_of_other_rule(workspace: Workspace, name: str) -> tuple[str, ...]:
    """Archives of the same domain whose parts were made by another rule."""
    settings = workspace.settings.archives

    def rule_before(archive: str) -> set[str] | None:
        asked = asked_before(workspace, archive)
        return None if asked is None else set(asked.get("patient_id_rule", [])) - _ABOUT_ZERO

    mine = rule_before(name) or set()
    domain = settings[name].domain
    return tuple(
        each for each, one in settings.items() if one.domain == domain and rule_before(each) not in (None, mine)
    )


def address_of(workspace: Workspace, name: str) -> str | None:
    """The address of an archive's source, which is only in the private folder; None if it is not there."""
    try:
        raw = json.loads((shards.folder_of(workspace, name) / _ARCHIVE).read_text(encoding="utf-8"))
        # Earlier versions supported folders only.
        return os.fsdecode(bytes.fromhex(raw.get("address") or raw["folder"]))
    except (OSError, ValueError, KeyError):
        return None


def source_of(workspace: Workspace, name: str) -> Source | None:
    """The source of an archive; None if the private folder does not have its address."""
    address = address_of(workspace, name)
    return None if address is None else source_at(address)


def remember(workspace: Workspace, task: ShardTask, made_from: Mapping[str, Any]) -> None:
    """Keep the last request for the archive, so that `status` can say what the next run would read again."""
    asked = {
        "topcode_age": task.options.topcode_age,
        "patient_id_rule": list(task.options.patient_id_rule or ()),
        "mapping": os.fsencode(task.mapping).hex() if task.mapping is not None else "",
        "digest": task.digest,
        "made_from": dict(made_from),
    }
    path = shards.folder_of(workspace, task.archive) / _ASKED
    if not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != asked:
        write_json(asked, path)


def wanted_digest(workspace: Workspace, name: str) -> str | None:
    """The digest of a shard for today's tables; that of the last run if the tables cannot be reached."""
    source = source_of(workspace, name)
    asked = asked_before(workspace, name)
    if asked is None:
        return None
    try:
        if source is None or not source.is_there():
            return asked["digest"]
        adapter = adapter_for(source, workspace.settings.archives[name].adapter, mapping_in(asked))
        rule = workspace.settings.archives[name].patient_id_rule
        options = IngestOptions.model_validate({"topcode_age": asked["topcode_age"], "patient_id_rule": rule})
        return rows_digest(rows_made_from(options, adapter))
    except (OSError, ValueError, KeyError):
        return None
    except UserError:
        return asked["digest"]
