"""Options of a cohort in a study file."""

from typing import Annotated

from pydantic import BaseModel, Field

from xray_mining.stated_files import StatedFile


class CohortOptions(BaseModel, extra="forbid", frozen=True):
    """One cohort of a study."""

    query: Annotated[str, StatedFile((".sql",), "sql/cohorts")] = Field(
        description="name of a file in sql/cohorts, or the path of one"
    )
    parameters: dict[str, str | int | float | bool | list[str] | list[int]] = Field(
        default={}, description="values for the parameters that the file's header declares"
    )
    folds: int = Field(5, ge=3, le=100)
    salt: str = Field("xray-mining", description="public; another salt gives other folds")
