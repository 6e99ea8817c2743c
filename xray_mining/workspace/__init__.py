"""The workspace: its folders, atomically written files, digests, locks and shipped files."""

from xray_mining.workspace.assets import asset
from xray_mining.workspace.digests import digest_of, digest_of_file, digest_of_frame, versions
from xray_mining.workspace.files import move_durably, scratch_of, sweep, write_atomically, write_frame, write_json
from xray_mining.workspace.folders import FORMAT_VERSION, MARKER, ArchiveSettings, Workspace, WorkspaceSettings
from xray_mining.workspace.locks import lock, lock_slices
from xray_mining.workspace.opened import times_of, was_closed
from xray_mining.workspace.yaml_files import checked, load_yaml, read_text, read_yaml, sentence_of

__all__ = [
    "FORMAT_VERSION",
    "MARKER",
    "ArchiveSettings",
    "Workspace",
    "WorkspaceSettings",
    "asset",
    "checked",
    "digest_of",
    "digest_of_file",
    "digest_of_frame",
    "load_yaml",
    "lock",
    "lock_slices",
    "move_durably",
    "read_text",
    "read_yaml",
    "scratch_of",
    "sentence_of",
    "sweep",
    "times_of",
    "versions",
    "was_closed",
    "write_atomically",
    "write_frame",
    "write_json",
]
