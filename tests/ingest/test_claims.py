"""Every element of a header that the reader uses, held against content that says otherwise.

`CLAIMS` is the list: the element, files made for it, and what is right: the true picture with a flag that says what was
overruled, the true picture without one where nothing is wrong or nothing can be told, or a reject that names the two.
"""

import cv2
import numpy as np
import pytest
from claim_files import COLUMNS, EXPLICIT, FILM, HT, J2K, ROWS, SIDE, dicom, film, ht, j2k
from claims_of_coding import CLAIMS as OF_CODING
from claims_of_display import CLAIMS as OF_DISPLAY
from claims_of_values import CLAIMS as OF_VALUES

from xray_mining.archive import dicom_pixels
from xray_mining.archive.dicom_file import looks_like_dicom, read_dicom
from xray_mining.archive.picture_file import picture_of
from xray_mining.archive.radiograph import Unusable
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.picture import standardised

CLAIMS = [*OF_VALUES, *OF_CODING, *OF_DISPLAY]


def frames_of(data: bytes) -> list:
    """Each frame as it is shown, or why it is not."""
    options = GreyOptions(side_px=SIDE)
    if not looks_like_dicom(data):
        return [standardised(picture_of(data), options)]
    found = []
    for each in read_dicom(data):
        if each.trouble is not None:
            raise each.trouble
        assert each.encoded is not None
        found.append(standardised(each.encoded, options))
    return found


def agreement(picture: np.ndarray, truth: np.ndarray) -> float:
    """Correlation of a standardised picture with the true one."""
    rows, columns = truth.shape
    height, width = SIDE, round(SIDE * columns / rows)
    left = (SIDE - width) // 2
    small = cv2.resize(truth.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(picture[:, left : left + width].ravel(), small.ravel())[0, 1])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.elements.split()[0]}: {claim.about}")
@pytest.mark.filterwarnings("ignore")
def test_content_wins_or_the_two_are_named(claim):
    if claim.reject:
        reason, _, words = claim.reject.partition(": ")
        with pytest.raises(Unusable) as trouble:
            frames_of(claim.make())
        assert trouble.value.reason == reason
        assert words in trouble.value.sentence
        return
    found = frames_of(claim.make())
    assert len(found) == claim.frames
    for each in found:
        assert agreement(each.grey.picture, FILM if claim.truth is None else claim.truth) > 0.99
        assert {flag for flag in each.flags if flag not in ("low_resolution", "border", "saturated")} == claim.flags
        assert each.grey.inverted == claim.inverted


@pytest.mark.parametrize(("syntax", "code"), [(J2K, j2k), (HT, ht)], ids=["jpeg 2000", "htj2k"])
def test_values_whose_sign_the_stream_does_not_know_are_not_averaged_before_it_is_known(syntax, code):
    """A large picture is decoded at reduced size; two's complement would be torn where it passes zero."""
    large = film(rows=8 * ROWS, columns=8 * COLUMNS).astype(np.int16) - 2048
    wrapped = (large & 0xFFF).astype(np.uint16)
    [signed] = frames_of(dicom(large, syntax, code(wrapped)))
    [native] = frames_of(dicom(large))
    assert np.abs(signed.grey.picture.astype(int) - native.grey.picture.astype(int)).max() <= 1


def test_every_element_that_the_reader_asks_for_is_listed():
    listed = {word for claim in CLAIMS for word in claim.elements.split()}
    asked = set()

    def element(keyword: str) -> object:
        asked.add(keyword)
        if keyword == "PhotometricInterpretation":
            return "PALETTE COLOR"
        if "Descriptor" in keyword:
            return [1, 0, 8]
        return b"\0\0" if "Data" in keyword else None

    dicom_pixels.picture_as_stated(element, 10, 10, EXPLICIT, True)
    assert asked - listed == set()
    assert {"Rows", "Columns", "NumberOfFrames", "TransferSyntaxUID", "PixelData"} <= listed
