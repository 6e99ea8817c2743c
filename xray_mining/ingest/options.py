"""Options of a study or a command for reading an archive."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from xray_mining.stated_files import StatedFile

PatientIdRule = Literal[
    "ignore_issuer",
    "strip_spaces",
    "fold_forms",
    "fold_case",
    "drop_decimals",
    "strip_zeros",
    "keep_zero",
    "zero_is_none",
]


class GreyOptions(BaseModel, extra="forbid", frozen=True):
    """How stored values become a comparable picture; the digest of these options names the pixel store."""

    side_px: int = Field(512, ge=32, le=4096, description="both sides, after padding to a square")
    clip_percent: float = Field(0.5, ge=0, lt=50, description="clipped at either end if no window is given")
    value_type: Literal["uint8", "uint16"] = "uint8"


class IngestOptions(BaseModel, extra="forbid", frozen=True):
    """How an archive is read."""

    grey: GreyOptions = GreyOptions()
    shard_files: int = Field(2000, ge=1, description="files a shard")
    topcode_age: bool = Field(True, description="set ages above 89 to 90")
    patient_id_rule: tuple[PatientIdRule, ...] | None = Field(
        None, description="spellings of a patient id that are joined; left out: as the archive was read before, or none"
    )
    adapter: str | None = Field(None, description="name of the adapter; recognised by the folder's layout if left out")
    mapping: Annotated[str | None, StatedFile((".yaml", ".yml"), "pipelines/mappings")] = Field(
        None, description="YAML file that states what a table's columns mean, or the name of a shipped one"
    )
    near_duplicates: bool = Field(True, description="search all archives of the workspace for near-duplicates")
    file_limit_s: float = Field(60.0, gt=0, description="seconds after which a file that hangs is rejected")
