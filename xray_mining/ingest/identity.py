"""Header → keys, age, sex, days. Outside `archive` this is the only code that sees a name or a birth date."""

import hashlib
import hmac
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from xray_mining.archive.cells import read_day
from xray_mining.archive.radiograph import Header
from xray_mining.errors import UserError, disk_error
from xray_mining.ingest import terms
from xray_mining.ingest.patient_ids import written_id
from xray_mining.ingest.stated_age import DAYS_A_YEAR, OLDEST_YEARS, TOPCODED_FROM_YEARS, read_age
from xray_mining.workspace import Workspace, scratch_of

_EPOCH = date(1900, 1, 1)
# Keep the text of an impossible age only if it cannot be a date or a word: up to three digits, a sign, a unit.
_AGE_TEXT_TO_KEEP = re.compile(r"-?\d{1,3}(\.\d{1,2})?\s?[DWMYdwmy]?")


@lru_cache(16)
def _started(key: bytes) -> hmac.HMAC:
    """The HMAC-SHA-256 object of an empty message; copying it avoids hashing the key again for every message."""
    return hmac.new(key, digestmod="sha256")


def _keyed(key: bytes, message: str) -> str:
    """The first 128 bits of the HMAC-SHA-256 of a message, as UUID text."""
    mac = _started(key).copy()
    mac.update(message.encode("utf-8", "surrogatepass"))
    digits = mac.hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


_keyed_before = lru_cache(4096)(_keyed)


@dataclass(frozen=True, slots=True)
class Domain:
    """An id space. Without its key, digests can neither be computed nor reversed."""

    name: str
    key: bytes
    public: bool

    def digest(self, kind: str, *parts: object) -> str:
        """UUID text of the HMAC-SHA-256 of `parts`, in a name space for each `kind`."""
        return _keyed(self.key, "\x1f".join([kind, *map(str, parts)]))

    def digest_again(self, kind: str, *parts: object) -> str:
        """The same, cached: for values that many files share, as a patient or a study."""
        return _keyed_before(self.key, "\x1f".join([kind, *map(str, parts)]))

    def shift_days(self, patient_key: str) -> int:
        """Days to add to each of a patient's dates: 0 to 364, 0 in public sets."""
        if self.public:
            return 0
        return int.from_bytes(hmac.digest(self.key, f"shift\x1f{patient_key}".encode(), "sha256")[:8], "big") % 365


def public_domain(name: str) -> Domain:
    """A domain whose key is published, so that the same set gives the same keys everywhere."""
    return Domain(name, hashlib.sha256(f"xray-mining public domain {name}".encode()).digest(), public=True)


def open_domain(workspace: Workspace, name: str, public: bool, key_file: Path | None = None) -> Domain:
    """The domain's key: published, read from `key_file`, kept from an earlier run, or random at first use."""
    if public:
        if key_file is not None:
            raise UserError(f"--key: domain '{name}' is public, its key is published; leave the option out")
        return public_domain(name)
    folder = workspace.private / "keys"
    path = folder / f"{name}.key"
    given = _key_in(key_file) if key_file is not None else None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            scratch = scratch_of(folder / name)
            scratch.write_text((given or os.urandom(32)).hex() + "\n", encoding="ascii")
            scratch.chmod(0o600)
            try:
                # The link fails if another process was first: both then use that process's key.
                os.link(scratch, path)
            except FileExistsError:
                pass
            finally:
                scratch.unlink()
    except OSError as error:
        raise disk_error(error, path) from error
    key = _key_in(path)
    if given is not None and given != key:
        raise UserError(
            f"--key: domain '{name}' has another key in this workspace already; its patients would get second keys. "
            f"Leave the option out, or take another --domain"
        )
    return Domain(name, key, public=False)


def _key_in(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise UserError(f"{path}: the key cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise UserError(
            f"{path}: is not a key; it holds 64 hexadecimal digits, as made in the private folder"
        ) from error
    if len(key) < 16:
        raise UserError(f"{path}: the key is too short; it holds at least 32 hexadecimal digits")
    return key


@dataclass(frozen=True, slots=True)
class Identity:
    """The columns of images that come from a header."""

    columns: dict[str, Any]
    flags: tuple[str, ...]
    accession_key: str | None
    """Keyed digest of the accession number, for the private folder; not a column."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Keyed digests of a patient id."""

    key: str | None
    """None if there is no id, or if it is a placeholder."""
    alike_key: str | None
    """Equal for ids that may belong to one person, written in different ways."""
    issuer_key: str | None
    marks: tuple[str, ...]
    """See `WrittenId`."""


def patient_of(domain: Domain, patient_id: str | None, issuer: str | None, rules: Sequence[str] = ()) -> Patient:
    """Makes keys of patient ids by the owner's rules, in the same way for headers, tables and linked tables."""
    written = written_id(patient_id, issuer, tuple(rules))
    if not written.text:
        return Patient(None, None, None, written.marks)
    parts = (written.issuer, written.text)
    if "\x1f" in "".join(parts):
        # The separator of the parts of a digest; `parts` may not contain it.
        parts = (str(len(written.issuer)), *parts)
    return Patient(
        domain.digest_again("patient", *parts),
        domain.digest_again("patient alike", written.alike),
        domain.digest_again("issuer alike", written.alike_issuer) if written.alike_issuer else None,
        written.marks,
    )


def identify(
    header: Header,
    domain: Domain,
    own_id: str,
    frame: int,
    *,
    topcode_age: bool,
    file_key: str,
    patient_id_rule: Sequence[str] = (),
) -> Identity:
    """Keys, age, sex, days and known words of one frame's header.

    Args:
        header: The texts that an adapter found.
        domain: The id space of its ids.
        own_id: The id of an instance that states none: its path and member.
        frame: The frame's number in its file.
        topcode_age: Ages of 90 and more become 90.
        file_key: The key of the file.
        patient_id_rule: Which spellings of a patient id are joined.

    Returns:
        The columns of images that come from the header, including its quality flags.
    """
    study_date, birth_date = parse_date(header.study_date), parse_date(header.birth_date)
    age = age_of(header, study_date, birth_date)
    view = _view_of(header)
    instance_id = header.instance_id or own_id
    keys = _keys_of(header, domain, instance_id, frame, study_date=study_date, rules=patient_id_rule)
    columns = {
        **keys,
        **_days_of(header, domain, keys["patient_key"], study_date),
        **_age_columns(age, topcode_age),
        **_words_of(header, domain),
        "view_position": view.position,
        "view_source": view.source,
        "file_key": file_key,
        "frame": frame,
    }
    return Identity(columns, tuple(_flags_of(header, age, view)), accession_key_of(domain, header.accession))


def _keys_of(
    header: Header, domain: Domain, instance_id: str, frame: int, *, study_date: date | None, rules: Sequence[str]
) -> dict[str, Any]:
    """Keyed digests of the ids, and columns about the patient id."""
    patient = patient_of(domain, header.patient_id, header.patient_id_issuer, rules)
    patient_key, patient_source = patient.key, "declared"
    if patient_key is None:
        # Without an id each image counts as its own patient: two such images must not count as one person's.
        patient_key, patient_source = domain.digest("nobody", instance_id, frame), "none"
    if header.study_id:
        study_key = domain.digest_again("study", header.study_id)
    elif patient_source == "declared" and study_date is not None:
        study_key = domain.digest_again("study of day", patient_key, study_date.isoformat())
    else:
        study_key = domain.digest("study of", instance_id)
    return {
        "image_key": domain.digest("instance", instance_id, frame),
        "study_key": study_key,
        "series_key": domain.digest_again("series", header.series_id) if header.series_id else None,
        "patient_key": patient_key,
        "patient_source": patient_source,
        "patient_alike_key": patient.alike_key or patient_key,
        "patient_issuer_key": patient.issuer_key,
        "patient_id_marks": sorted(patient.marks),
        "domain": domain.name,
        "institution_key": domain.digest_again("institution", header.institution) if header.institution else None,
    }


def _days_of(header: Header, domain: Domain, patient_key: str, study_date: date | None) -> dict[str, Any]:
    """The day of the study, shifted by the patient's number of days, and its year."""
    study_day = None
    if study_date is not None:
        study_day = (study_date - _EPOCH).days + domain.shift_days(patient_key)
    return {
        "study_year": date.fromordinal(_EPOCH.toordinal() + study_day).year if study_day is not None else None,
        "study_day": study_day,
        "day_offset": header.day_offset,
    }


def _age_columns(age: "Age", topcode_age: bool) -> dict[str, Any]:
    # A bound in a table (">89") is always a top-coded age, because the true age is unknown.
    topcoded = age.years is not None and (age.bounded or (topcode_age and age.years >= TOPCODED_FROM_YEARS))
    return {
        "age_years": float(TOPCODED_FROM_YEARS) if topcoded else age.years,
        "age_source": age.source,
        "age_raw": age.raw,
        "age_topcoded": topcoded,
    }


@dataclass(frozen=True, slots=True)
class _View:
    position: str | None
    source: str


def _view_of(header: Header) -> _View:
    """The view as the header declares it, else as inferred from its texts and orientation."""
    declared = terms.view_of(header.view) if header.view else None
    inferred = terms.view_in(header.view_texts) or terms.view_by_orientation(header.orientation)
    if header.view and declared is None:
        # A stated view outside our list becomes OTHER; it must not become unknown.
        declared = "OTHER" if inferred is None else None
    return _View(declared or inferred, "declared" if declared else "inferred" if inferred else "none")


def _words_of(header: Header, domain: Domain) -> dict[str, Any]:
    """Columns of known words; free text never leaves the header."""
    spacing = header.spacings[0] if header.spacings else None
    return {
        "patient_sex": terms.sex_of(header.sex),
        "laterality": terms.laterality_of(header.laterality),
        "modality": terms.modality_of(header.modality),
        "body_part_examined": terms.body_part_of(header.body_part),
        "manufacturer": terms.manufacturer_of(header.manufacturer),
        "manufacturer_model_name": terms.model_of(header.model_name),
        "pixel_spacing_mm": math.sqrt(spacing.row * spacing.column) if spacing else None,
        "pixel_spacing_source": spacing.source if spacing else None,
        "burned_in_text": {"YES": "declared", "NO": "no"}.get(_burned_in(header)),
        "licence": terms.licence_of(header.licence, domain.public),
    }


def _burned_in(header: Header) -> str:
    return (header.burned_in or "").strip().upper()


def _flags_of(header: Header, age: "Age", view: _View) -> list[str]:
    """Quality flags of a header."""
    flags = list(header.id_flags)
    stated_ids = (header.patient_id, header.patient_id_issuer, header.accession)
    if "undecoded_id" not in flags and any("\ufffd" in each for each in stated_ids if each):
        # The file or table lost letters before ingest: the ids of two people may have become equal.
        flags.append("undecoded_id")
    if age.impossible:
        flags.append("impossible_age")
    if age.bounded and age.years is None:
        flags.append("bounded_age")
    if terms.sex_of(header.sex) is None and terms.states_a_sex(header.sex):
        flags.append("unread_sex")
    if view.position in ("LATERAL", "OTHER"):
        flags.append("not_frontal")
    if _burned_in(header) == "YES":
        flags.append("burned_in")
    return flags


def accession_key_of(domain: Domain, accession: str | None) -> str | None:
    """Keyed digest of an accession number; None if none is stated."""
    text = (accession or "").strip()
    return domain.digest("accession", text) if text else None


def parse_date(text: str | None) -> date | None:
    """The day of a date as DICOM, ISO or a table writes it; None for partial, impossible and placeholder dates."""
    return read_day(text).value


@dataclass(frozen=True, slots=True)
class Age:
    """An age, its source, and texts that could not be used."""

    years: float | None
    source: str
    raw: str | None = None
    """The text of an unused age, if it cannot identify anybody."""
    impossible: bool = False
    bounded: bool = False
    """Only a bound is stated; with `years`, it is the bound of a top-coded age."""


def age_of(header: Header, study_date: date | None, birth_date: date | None) -> Age:
    """The age at the study. Dates are preferred: stated ages are whole years, and often wrong."""
    impossible = False
    if study_date is not None and birth_date is not None:
        years = years_between(birth_date, study_date)
        if 0 <= years <= OLDEST_YEARS:
            return Age(years, "dates")
        impossible = True
    text = (header.age_text or "").strip()
    if not text:
        return Age(None, "none", impossible=impossible)
    stated = read_age(text)
    if stated.years is not None:
        return Age(stated.years, header.age_stands_in, impossible=impossible, bounded=stated.bounded)
    if stated.bounded:
        return Age(None, "none", text, impossible, bounded=True)
    return Age(None, "none", text if _AGE_TEXT_TO_KEEP.fullmatch(text) else None, impossible=True)


def years_between(birth: date, study: date) -> float:
    """Age in mean years, limited to the full calendar years: 90 on a 90th birthday, not 89.998."""
    years = (study - birth).days / DAYS_A_YEAR
    full = study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))
    return min(max(years, float(full)), math.nextafter(full + 1.0, 0.0))


def file_key_of(domain: Domain, archive: str, path: bytes, member: str) -> str:
    """Keyed digest of a file's relative path and archive member."""
    return domain.digest("file", archive, path.hex(), member)
