"""Known words: free text of a header leaves ingest only as one of these."""

import functools
import re

# Views as written by makers and data sets → ours. Obliques and decubitus views are OTHER, never dropped.
_VIEWS = {
    "PA": "PA",
    "POSTEROANTERIOR": "PA",
    "POSTERO ANTERIOR": "PA",
    "POSTERIOR ANTERIOR": "PA",
    "AP": "AP",
    "ANTEROPOSTERIOR": "AP",
    "ANTERO POSTERIOR": "AP",
    "ANTERIOR POSTERIOR": "AP",
    "AP SUPINE": "AP",
    "AP ERECT": "AP",
    "AP HORIZONTAL": "AP",
    "AP PORTABLE": "AP",
    "PORTABLE AP": "AP",
    "PA ERECT": "PA",
    "ANTERO POSTERIOR OBLIQUE": "OTHER",
    "LATERAL": "LATERAL",
    "LAT": "LATERAL",
    "L": "LATERAL",
    "LL": "LATERAL",
    "RL": "LATERAL",
    "LLAT": "LATERAL",
    "RLAT": "LATERAL",
    "LEFT LATERAL": "LATERAL",
    "RIGHT LATERAL": "LATERAL",
    "LLO": "OTHER",
    "RLO": "OTHER",
    "RAO": "OTHER",
    "LAO": "OTHER",
    "RPO": "OTHER",
    "LPO": "OTHER",
    "OBLIQUE": "OTHER",
    "XTABLE LATERAL": "LATERAL",
    "SWIMMERS": "OTHER",
    "LORDOTIC": "OTHER",
    "AP LORDOTIC": "OTHER",
    "AP AXIAL": "OTHER",
    "PA LLD": "OTHER",
    "PA RLD": "OTHER",
    "AP LLD": "OTHER",
    "AP RLD": "OTHER",
    "LLD": "OTHER",
    "RLD": "OTHER",
    # Codes of PS3.16 CID 4010, in SNOMED RT and CT.
    "R 10206": "AP",
    "R 10214": "PA",
    "R 10228": "LATERAL",
    "R 10232": "LATERAL",
    "R 10236": "LATERAL",
    "399348003": "AP",
    "272479007": "PA",
    "399067008": "LATERAL",
    "399173006": "LATERAL",
    "399198007": "LATERAL",
}

# Words in series and study texts that name the view; the first kind that occurs without another kind decides.
_VIEW_WORDS = {
    "PA": ("PA", "POSTEROANTERIOR", "DORSOVENTRAL"),
    "AP": ("AP", "ANTEROPOSTERIOR", "SUPINE", "PORTABLE", "BEDSIDE", "LIEGEND", "BETTLUNGE", "BETT"),
    "LATERAL": ("LAT", "LATERAL", "SEITLICH", "SEITL", "LL", "PROFIL", "LATERALE"),
}

_CHEST_WORDS = (
    "CHEST",
    "THORAX",
    "THORACIC CAVITY",
    "LUNG",
    "LUNGS",
    "LUNGE",
    "BETTLUNGE",
    "CXR",
    "TORAX",
    "PULMON",
    "PULMONARY",
    "POUMON",
    "POUMONS",
    "TORACE",
    "RIB",
    "RIBS",
    "PORT CHEST",
    "CHESTABDOMEN",
    "BRONCHUS",
    "T D3000",
    "51185008",
)

# Other body parts that a radiograph may show; terms of PS3.16 annex L and makers' words for them.
_OTHER_PARTS = (
    "ABDOMEN",
    "ANKLE",
    "ARM",
    "BREAST",
    "BRAIN",
    "CALCANEUS",
    "CLAVICLE",
    "COCCYX",
    "CSPINE",
    "C SPINE",
    "CERVICAL SPINE",
    "ELBOW",
    "EXTREMITY",
    "FEMUR",
    "FINGER",
    "FOOT",
    "FOREARM",
    "HAND",
    "HEAD",
    "HIP",
    "HUMERUS",
    "JAW",
    "KNEE",
    "LEG",
    "LOWER LEG",
    "LSPINE",
    "L SPINE",
    "LUMBAR SPINE",
    "MANDIBLE",
    "MAXILLA",
    "NECK",
    "PATELLA",
    "PELVIS",
    "SACRUM",
    "SCAPULA",
    "SHOULDER",
    "SINUS",
    "SKULL",
    "SPINE",
    "TEETH",
    "THIGH",
    "THUMB",
    "TIBIA",
    "TOE",
    "TOOTH",
    "TSPINE",
    "T SPINE",
    "WHOLE BODY",
    "WHOLEBODY",
    "WRIST",
    "DENTAL",
)

_MANUFACTURERS = {
    "AGFA": "Agfa",
    "CANON": "Canon",
    "CARESTREAM": "Carestream",
    "DEL MEDICAL": "Del Medical",
    "DRTECH": "DRTECH",
    "EASTMAN KODAK": "Kodak",
    "FUJI": "Fujifilm",
    "GE HEALTHCARE": "GE Healthcare",
    "GE MEDICAL": "GE Healthcare",
    "GENERAL ELECTRIC": "GE Healthcare",
    "HOLOGIC": "Hologic",
    "IMAGING DYNAMICS": "Imaging Dynamics",
    "KODAK": "Kodak",
    "KONICA": "Konica Minolta",
    "LODOX": "Lodox",
    "PHILIPS": "Philips",
    "RAYENCE": "Rayence",
    "SAMSUNG": "Samsung",
    "SHIMADZU": "Shimadzu",
    "SIEMENS": "Siemens",
    "STERLING": "Sterling",
    "SWISSRAY": "Swissray",
    "TOSHIBA": "Toshiba",
    "TROPHY": "Trophy",
    "VAREX": "Varex",
    "VIEWORKS": "Vieworks",
    # The phantom's invented makers.
    "HALDEN ROENTGEN": "Halden Roentgen",
    "MERIDIAN MEDICAL": "Meridian Medical",
    "NORDLICHT IMAGING": "Nordlicht Imaging",
    "TIDEWATER SYSTEMS": "Tidewater Systems",
}

_MODELS = (
    "ADC Compact",
    "Axiom",
    "CR 30",
    "CR 75",
    "CR 85",
    "Definium",
    "DigitalDiagnost",
    "DirectView",
    "Discovery XR656",
    "DRX",
    "Essenta",
    "FCR",
    "Fluorospot",
    "Mobilett",
    "MobileDaRt",
    "Multix",
    "Optima",
    "PCR Eleva",
    "Regius",
    "Revolution XQ/i",
    "Revolution XR/d",
    "Thoravision",
    "Thorax",
    "Ysio",
    # The phantom's invented devices.
    "Aurora DR 43",
    "Clarus X2",
    "Mobil 7",
    "Plate Reader 5",
)

RADIOGRAPHS = ("CR", "DX", "RG", "RF", "XA", "OT", "SC", "DR")
"""Modalities in which chest radiographs are sent; OT and SC are captures, which must state that they show a chest."""
CAPTURES = ("OT", "SC", "XA", "RF")

_OTHER_MODALITIES = ("CT", "MR", "US", "NM", "PT", "MG", "IO", "PX", "ES", "GM", "SM", "RTIMAGE", "RTDOSE", "RTPLAN")

_LICENCE_LENGTH = 120
_LICENCES = re.compile(
    r"(CC0|CC BY(-[A-Z]{2}){0,2})( [1-4]\.\d)?|MIT|Apache-2\.0|PhysioNet [A-Za-z ]{0,40}Licen[cs]e [\d.]+"
)


_SEXES = {
    **dict.fromkeys(("M", "MALE", "MAN", "MÄNNLICH", "MAENNLICH", "MASCULINO", "MASCULIN", "HOMME", "HOMBRE"), "M"),
    **dict.fromkeys(("F", "FEMALE", "W", "WOMAN", "WEIBLICH", "FEMENINO", "FÉMININ", "FEMME", "MUJER"), "F"),
    **dict.fromkeys(("O", "OTHER", "DIVERSE", "DIVERS"), "O"),
}
_NO_SEX = ("", "U", "N", "NA", "N/A", "NAN", "NONE", "NULL", "UNKNOWN", "UNDEFINED", "NOT STATED")


@functools.lru_cache(maxsize=4096)
def _words(text: str) -> str:
    return " ".join(re.findall(r"[A-Z0-9]+", text.upper()))


@functools.lru_cache(maxsize=4096)
def view_of(text: str) -> str | None:
    """PA, AP, LATERAL or OTHER for a stated view; None for text that is no view."""
    words = _words(text)
    if words in _VIEWS:
        return _VIEWS[words]
    parts = words.split()
    if parts and all(part in ("AP", "PA", "SUPINE", "ERECT", "PORTABLE", "UPRIGHT", "VIEW", "CHEST") for part in parts):
        views = {part for part in parts if part in ("AP", "PA")}
        if len(views) == 1:
            return views.pop()
    return None


@functools.lru_cache(maxsize=4096)
def view_in(texts: tuple[str, ...]) -> str | None:
    """The view in free text, if it names one kind of view and no other."""
    for text in texts:
        code = _VIEWS.get(_words(text))
        if code and len(_words(text)) > 1:
            return code
    found = set()
    for text in texts:
        padded = f" {_words(text)} "
        found |= {view for view, words in _VIEW_WORDS.items() if any(f" {word} " in padded for word in words)}
    if found == {"PA", "AP"}:
        return None
    return found.pop() if len(found) == 1 else None


def view_by_orientation(orientation: str | None) -> str | None:
    """LATERAL where rows run from front to back (PatientOrientation, PS3.3 C.7.6.1.1.1); never PA or AP."""
    if orientation and orientation.upper()[:1] in ("A", "P") and "\\" in orientation:
        return "LATERAL"
    return None


def _has(text: str, words: tuple[str, ...]) -> bool:
    padded = f" {_words(text)} "
    return any(f" {word} " in padded for word in words)


@functools.lru_cache(maxsize=4096)
def shows_chest(body_part: str | None, texts: tuple[str, ...]) -> bool | None:
    """Whether body part and texts name a chest (True), another part and no chest (False), or nothing known (None)."""
    stated = [body_part] if body_part else []
    for group in (stated, list(texts)):
        if any(_has(text, _CHEST_WORDS) for text in group):
            return True
        if any(_has(text, _OTHER_PARTS) for text in group):
            return False
    return None


@functools.lru_cache(maxsize=4096)
def body_part_of(text: str | None) -> str | None:
    """A body part as a known term in capitals; OTHER for an unknown one."""
    if text is None:
        return None
    if _has(text, _CHEST_WORDS):
        return "CHEST"
    words = _words(text)
    return next((part for part in _OTHER_PARTS if f" {part} " in f" {words} "), "OTHER")


def modality_of(text: str | None) -> str | None:
    """A modality of radiographs; OTHER for any other."""
    if text is None:
        return None
    return text.upper() if text.upper() in RADIOGRAPHS else "OTHER"


def modality_in_words(text: str) -> str:
    """A modality for a sentence: its code if that is known."""
    return text.upper() if text.upper() in _OTHER_MODALITIES else "of another kind"


@functools.lru_cache(maxsize=4096)
def manufacturer_of(text: str | None) -> str | None:
    """A maker by its known name, else 'other'."""
    if text is None:
        return None
    words = _words(text)
    for known, name in _MANUFACTURERS.items():
        if _words(known) in words:
            return name
    return "GE Healthcare" if words.split()[:1] == ["GE"] else "other"


@functools.lru_cache(maxsize=4096)
def model_of(text: str | None) -> str | None:
    """A device model by its known name; None for an unknown one, whose text could be anything."""
    if text is None:
        return None
    words = _words(text).replace(" ", "")
    return next((name for name in _MODELS if _words(name).replace(" ", "") in words), None)


def sex_of(text: str | None) -> str | None:
    """M, F or O; None for anything else."""
    return _SEXES.get(text.strip().upper()) if text is not None else None


def states_a_sex(text: str | None) -> bool:
    """Whether the text states a sex; 'unknown' and similar words do not."""
    return text is not None and text.strip(" -?.").upper() not in _NO_SEX


def laterality_of(text: str | None) -> str | None:
    """L, R, B or U; None for anything else."""
    word = (text or "").strip().upper()[:1]
    return word if word in ("L", "R", "B", "U") else None


def licence_of(text: str | None, public: bool) -> str | None:
    """A public set's words on its licence; for other archives only the name of a known licence, else None."""
    if not text:
        return None
    return text[:_LICENCE_LENGTH] if public or _LICENCES.fullmatch(text.strip()) else None


def photometric_of(text: str) -> str:
    """A photometric interpretation of PS3.3 C.7.6.3.1.2; OTHER for any other."""
    known = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
    return text if text in known else "OTHER"
