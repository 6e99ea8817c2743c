"""The mapping of an archive: a YAML file that states what the columns of its table mean."""

from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, field_validator, model_validator

from xray_mining.archive import cells
from xray_mining.records.masks import STRUCTURES


class Columns(BaseModel, extra="forbid", frozen=True):
    """Which column of the table has which meaning; a column that is left out is not stated."""

    image: str = Field(description="path or file name of the image")
    instance_id: str | None = None
    patient_id: str | None = None
    study_id: str | None = None
    accession: str | None = Field(None, description="accession number, by which `link` may find the study")
    series_id: str | None = None
    study_date: str | None = Field(None, description="day of the image; see date_format")
    day_offset: str | None = Field(
        None,
        description="days since a reference day of the patient, if the table has no dates; orders a patient's images",
    )
    birth_date: str | None = None
    age: str | None = Field(None, description="years, or with a unit as in DICOM: 061Y, 018M")
    sex: str | None = None
    view: str | None = None
    laterality: str | None = None
    modality: str | None = None
    manufacturer: str | None = None
    model_name: str | None = None
    institution: str | None = None
    licence: str | None = None
    spacing_mm: str | None = None
    image_columns: str | None = Field(None, description="width in pixels of the picture that spacing_mm refers to")


class FindingMapping(BaseModel, extra="forbid", frozen=True):
    """One column that becomes findings."""

    column: str
    kind: Literal["number", "text", "words"] = Field(
        "number", description="a number; the text of a group; or several labels in one cell, each 1 where it is named"
    )
    unit: str = ""
    separator: str = Field("|", description="separator of the labels of one cell")
    values: dict[str, FiniteFloat] = Field(
        default={}, description="numbers for texts, as {yes: 1, no: 0, maybe: -1}; capitals make no difference"
    )

    @field_validator("values")
    @classmethod
    def _alike_only_once(cls, values: dict[str, float]) -> dict[str, float]:
        """By texts in small letters."""
        return cells.numbers_for_texts(values)


class MaskMapping(BaseModel, extra="forbid", frozen=True):
    """One column with paths of mask files."""

    column: str
    structures: dict[str, dict[Literal["equals", "from", "bits"], int]] = Field(
        description="which values of the mask are which structure, as {right_lung: {equals: 1}}"
    )
    scaled: bool = Field(False, description="true where the masks were made on pictures of another size, not shape")

    @model_validator(mode="after")
    def _known(self) -> "MaskMapping":
        for name, rule in self.structures.items():
            if name not in STRUCTURES:
                raise ValueError(f"'{name}' is no structure; known are {', '.join(STRUCTURES)}")
            if len(rule) != 1:
                raise ValueError(f"'{name}' needs one of equals, from, bits")
        return self


class BoxMapping(BaseModel, extra="forbid", frozen=True):
    """A second table with one rectangle per row, in pixels of the image file."""

    table: str
    optional: bool = Field(False, description="the archive may lack this table")
    image: str
    name: str
    x: str
    y: str
    width: str
    height: str
    names: dict[str, str] = Field(default={}, description="our names for theirs")


class Mapping(BaseModel, extra="forbid", frozen=True):
    """What the columns of an archive's table mean."""

    table: str = Field(description="path of the CSV, spreadsheet or Parquet file below the archive's folder")
    columns: Columns
    images: str = Field("", description="folder of the images below the archive's folder; empty: all of it")
    public: bool = Field(False, description="a public set: published key, true dates")
    encoding: str | None = Field(
        None,
        description="encoding of the tables; left out: by their mark, else UTF-8, else Windows-1252 with a note",
    )
    date_format: str | None = Field(
        None, description="as DD.MM.YYYY or MM/DD/YYYY, if the dates do not show which number is the day"
    )
    domain: str | None = Field(None, description="id space of the patients; left out: the archive's name")
    set: str = Field("", description="name put before image ids if several sets share a domain")
    licence: str | None = Field(None, description="licence of all images, if no column has it")
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = Field(
        "MONOCHROME2", description="MONOCHROME1 if bright pixels of the image files are air"
    )
    findings: dict[str, FindingMapping] = {}
    masks: list[MaskMapping] = []
    boxes: list[BoxMapping] = []

    @field_validator("date_format")
    @classmethod
    def _known_format(cls, text: str | None) -> str | None:
        if text is not None and cells.order_of_format(text) is None:
            raise ValueError(f"a format is written with DD, MM and YYYY, as {', '.join(cells.FORMATS)}")
        return text
