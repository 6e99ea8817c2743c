"""Options of a cohort in a study file."""

from typing import Annotated

from pydantic import BaseModel, Field

from xray_mining.catalog.folds import FOLDS, LEAST_FOLDS, MOST_FOLDS, SALT
from xray_mining.stated_files import StatedFile


class CohortOptions(BaseModel, extra="forbid", frozen=True):
    """One cohort of a study."""

    query: Annotated[str, StatedFile((".sql",), "sql/cohorts")] = Field(
        description="name of a file in sql/cohorts, or the path of one"
    )
    parameters: dict[str, str | int | float | bool | list[str] | list[int]] = Field(
        default={}, description="values for the parameters that the file's header declares"
    )
    folds: int = Field(FOLDS, ge=LEAST_FOLDS, le=MOST_FOLDS)
    salt: str = Field(SALT, description="public; another salt gives other folds")
