"""One frame → its standardised picture; the same function serves `ingest` and `predict`."""

from dataclasses import dataclass

from xray_mining.archive.claims import compared
from xray_mining.archive.radiograph import Encoded
from xray_mining.ingest.decode import DecoderFailure, Stored, decode
from xray_mining.ingest.grey import Grey, grey
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.quality import flags_of


@dataclass(frozen=True, slots=True)
class Picture:
    """A standardised picture, and the description of its content that was used."""

    grey: Grey
    stored: Stored
    encoded: Encoded
    """The description as the content shows it."""
    flags: tuple[str, ...]
    """Quality flags: visible problems, and header values that were overruled."""


def standardised(encoded: Encoded, options: GreyOptions, failures: set[DecoderFailure] | None = None) -> Picture:
    """The standardised picture of one frame, with the header checked against the content.

    Decoders that fail on it are added to `failures`, also where the frame turns out to be unusable.

    Raises Unusable if the two contradict each other and neither is certain, or if no decoder reads the bytes.
    """
    encoded = compared(encoded)
    stored = decode(encoded, options.side_px, failures=failures)
    seen = grey(stored, encoded, options)
    flags = (*flags_of(seen, seen.encoded.rows, seen.encoded.columns), *seen.encoded.overruled)
    return Picture(seen, stored, seen.encoded, flags)
