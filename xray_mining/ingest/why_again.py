"""Why finished shards are read again, in words: a run over a large archive takes hours."""

from collections.abc import Collection, Mapping
from typing import Any

from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.parts import ShardCounts
from xray_mining.pixels.store import store_options
from xray_mining.workspace import Workspace

_OF_VERSION = {
    "ages": "ages",
    "cells": "table cells",
    "ids_version": "patient ids",
    "pixel_digest": "digests of pixels",
}
_NOT_SAID = "options, tables or the version of xray-mining were different"
_BROKEN_OFF = "an earlier run was interrupted, or was to read them with --again"


def why_rows(then: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Differences between the inputs of rows of the last run and now (`rows_made_from`), in words; empty if equal."""
    if not then:
        return _NOT_SAID
    differs = [name for name in now if then.get(name) != now[name]]
    reasons = []
    if "tables" in differs:
        reasons.append("a table or the mapping has changed")
    if "topcode_age" in differs:
        reasons.append("ages above 89 are now " + ("set to 90" if now["topcode_age"] else "kept"))
    if "rule" in differs:
        before, after = (",".join(each.get("rule") or ()) or "none" for each in (then, now))
        reasons.append(f"the rule for patient ids was {before} and is {after}")
    if "adapter" in differs:
        reasons.append(f"the archive was read by {then.get('adapter')}")
    if others := [words for name, words in _OF_VERSION.items() if name in differs]:
        reasons.append(f"this version of xray-mining makes {' and '.join(others)} differently")
    return "; ".join(reasons)


def why_pictures(workspace: Workspace, before: str, options: GreyOptions) -> str:
    """Why the pictures of an earlier store cannot be used for these grey options."""
    if not before:
        return "only their headers were read"
    then, now = store_options(workspace, before), options.model_dump()
    differs = [f"{name} {then[name]} then, {now[name]} now" for name in now if name in then and then[name] != now[name]]
    if differs:
        return f"pictures were made with other grey options ({'; '.join(differs)})"
    return "this version of xray-mining standardises pictures differently"


def why_again(
    workspace: Workspace,
    counts: Mapping[int, Collection[ShardCounts]],
    digest: str,
    options: GreyOptions,
    *,
    rows: str,
    known: Mapping[str, Collection[int]],
) -> str:
    """One sentence on the shards that are read again; empty if there are none.

    Args:
        workspace: The workspace.
        counts: For each shard that is read now and has rows already, its earlier counts.
        digest: Of the present inputs of rows.
        options: The grey options.
        rows: The text of `why_rows`.
        known: Reasons of single shards.
    """
    reasons: dict[str, int] = {}
    for shard, earlier in counts.items():
        reason = next((words for words, shards in known.items() if shard in shards), "")
        if not reason and (same := [each for each in earlier if each.digest == digest]):
            reason = why_pictures(workspace, same[-1].store, options)
        if not reason:
            reason = rows if rows and any(each.digest for each in earlier) else _BROKEN_OFF
        reasons[reason] = reasons.get(reason, 0) + 1
    parts = [f"{number:,} because {reason}" for reason, number in reasons.items()]
    if not parts:
        return ""
    return f"shards that were read before and were read anew: {', '.join(parts)}"
