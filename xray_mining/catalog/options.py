"""What a study may say about a cohort."""

from pydantic import BaseModel, Field


class CohortOptions(BaseModel, extra="forbid", frozen=True):
    """One cohort of a study."""

    query: str = Field(description="name of a file in sql/cohorts, or the path of one")
    parameters: dict[str, str | int | float | bool | list[str] | list[int]] = Field(
        default={}, description="values for the parameters that the file's header declares"
    )
    folds: int = Field(5, ge=3, le=100)
    salt: str = Field("xray-mining", description="public; another salt gives other folds")
