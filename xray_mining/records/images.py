"""images: one row per kept radiograph (a frame of a file or archive member)."""

from collections.abc import Sequence

import dataframely as dy
import polars as pl

from xray_mining.records.record import Record, choice, count, key, number, one_of, text

AGE_SOURCES = ("dates", "age_string", "table", "none")
YEARS_ARE_SHIFTED = "Outside public sets a patient's days are shifted by up to a year, so a year may be wrong by one."
"""Printed beside every figure by year of study."""
VIEWS = ("PA", "AP", "LATERAL", "OTHER")
VIEW_SOURCES = ("declared", "inferred", "none")
SEQUENCES = ("unknown", "day", "follow_up", "age", "same_study", "nothing")
"""What orders an image of a patient after the previous one; 'unknown' and 'nothing' do not order them. Between images
that are not neighbours, the value that is first in this list, of all steps between them, decides."""
OVERRULED_FLAGS = (
    "overruled_bits",
    "overruled_sign",
    "overruled_samples",
    "overruled_colour",
    "overruled_encoding",
    "overruled_frames",
    "overruled_rescale",
    "overruled_lut",
    "overruled_window",
    "overruled_padding",
    "bytes_after_end",
)
"""Header values that contradict the content; the picture is decoded as the content requires."""
QUALITY_FLAGS = (
    "blank",
    "saturated",
    "cut_off",
    "inverted",
    "border",
    "low_resolution",
    "not_frontal",
    "burned_in",
    "impossible_age",
    "bounded_age",
    "unread_sex",
    "several_ids",
    "undecoded_id",
    "no_pixels",
    *OVERRULED_FLAGS,
)
PATIENT_ID_MARKS = (
    "placeholder",
    "zero",
    "ignore_issuer",
    "strip_spaces",
    "fold_forms",
    "fold_case",
    "drop_decimals",
    "strip_zeros",
)


class Images(Record):
    """The radiographs of the archives, without identities."""

    table = "images"
    question = "one kept radiograph: a frame of a file, an archive member, or a table row under --metadata-only"

    image_key = key("the kept record's instance_key", primary_key=True)
    study_key = key("keyed digest of StudyInstanceUID, or of patient and date where it is missing")
    series_key = key("keyed digest of SeriesInstanceUID", nullable=True)
    patient_key = key("keyed digest of the patient id with its issuer; unique to the image if it has no patient id")
    patient_source = choice("where the patient id came from", ("declared", "none"))
    patient_alike_key = key(
        "equal for patient ids that may belong to one person: they differ in zeros, spaces, letter forms or issuer",
        nullable=True,
    )
    patient_issuer_key = key("keyed digest of the issuer of the patient id", nullable=True)
    patient_id_marks = dy.List(
        dy.String(regex=one_of(PATIENT_ID_MARKS)),
        nullable=True,
        description="unusual properties of the patient id: rules of --patient-id-rule that would change it; or it is a "
        "placeholder, or zero, and identifies no patient",
        metadata={"allowed": PATIENT_ID_MARKS},
    )
    archive = text("the archive's given name")
    domain = text("the id space that the patient id belongs to")
    institution_key = key("keyed digest of institution name and address", nullable=True)
    file_key = key("keyed digest of the file's relative path and archive member")
    frame = count("frame number within the file, from 0")
    shard = count("shard of the archive's file list")
    position = count("position within the shard")
    pixel_digest = key("digest of encoded frame bytes, size, bits, photometric interpretation, syntax", nullable=True)
    perceptual_hash = dy.UInt64(
        nullable=True,
        description="hash of the picture; stable under changes of brightness and contrast and small scaling",
    )
    age_years = number("age at the study; top-coded at 90 unless the owner chose otherwise", "years", min=0, max=150)
    age_source = choice("what the age was computed from", AGE_SOURCES)
    age_raw = text("original text of an impossible age, or of a bound such as <5; never a date", nullable=True)
    age_topcoded = dy.Bool(description="the age was 90 full years or more, or stated as above 89, and is set to 90")
    patient_sex = choice("PatientSex; O is other", ("M", "F", "O"), nullable=True)
    view_position = choice("ViewPosition", VIEWS, nullable=True)
    view_source = choice("whether the view was declared, or inferred from known words of the header", VIEW_SOURCES)
    laterality = choice("Laterality", ("L", "R", "B", "U"), nullable=True)
    modality = text("Modality", nullable=True)
    body_part_examined = text("BodyPartExamined as a known term", nullable=True)
    manufacturer = text("Manufacturer as a known name, else 'other'", nullable=True)
    manufacturer_model_name = text("ManufacturerModelName as a known or frequent name", nullable=True)
    study_year = count("year of study_day; shifted like it, except in public sets", "year", nullable=True)
    study_day = count("days since 1900-01-01, shifted by 0 to 364 days per patient", "days", nullable=True, min=None)
    day_offset = number("days since an unknown reference day of the patient, if no date is stated", "days")
    rows = count("Rows of the stored picture", "pixels", nullable=True, min=1)
    columns_ = dy.Int64(
        alias="columns", nullable=True, min=1, description="Columns of the stored picture", metadata={"unit": "pixels"}
    )
    bits_stored = count("BitsStored", "bits", nullable=True, min=1)
    photometric_interpretation = text("PhotometricInterpretation", nullable=True)
    transfer_syntax_uid = text("TransferSyntaxUID, or the file format for pictures", nullable=True)
    patient_sequence = count(
        "position among the patient's images in time, from 1 (the earliest); set by merge, null in parts",
        nullable=True,
        min=1,
    )
    sequence_by = choice(
        "why the patient's previous image counts as earlier: day of the study (offset, for a patient without days), "
        "follow-up number or age; same_study: both are of one study; unknown: only one of the two has a day, number or "
        "age; nothing: only the order of files",
        SEQUENCES,
        nullable=True,
    )
    pixel_spacing_mm = number("distance of pixel centres, equal in both directions", "mm", min=0)
    pixel_spacing_source = text("the element it came from: pixel_spacing, imager_pixel_spacing, …", nullable=True)
    burned_in_text = choice(
        "whether letters are burned in: declared by the header; pictures were not examined",
        ("declared", "detected", "no"),
        nullable=True,
    )
    quality_flags = dy.List(
        dy.String(regex=one_of(QUALITY_FLAGS)),
        description="problems of the picture or its header",
        metadata={"allowed": QUALITY_FLAGS},
    )
    licence = text("licence of the picture, if its set states one", nullable=True)

    @dy.rule()
    def topcoded_is_ninety(cls) -> pl.Expr:
        """A top-coded age is exactly 90."""
        return ~pl.col("age_topcoded") | (pl.col("age_years") == 90)


def first_of_each_image(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of parts in the order of `Workspace.archives_in_order` and of shards, the first one of each image_key.

    The copy that was ingested first is the picture of an image for the store, sets and near-duplicates. The row of
    `images` comes from sql/merge/settle.sql, which prefers a copy whose file is still there. The picture stays the
    first one, so that nothing is measured again when a file vanishes.
    """
    return pl.concat(parts).unique("image_key", keep="first", maintain_order=True)
