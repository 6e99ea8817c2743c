"""Every reason for a reject has a hint that the end of `ingest` prints where it is the most frequent one."""

import ast
from pathlib import Path

import pytest

import xray_mining
from xray_mining.ingest.summary import HINTS

# Written by sql/merge/images.sql, and by workers that were lost.
ELSEWHERE = {"uid_reused", "crash", "hangs"}


def reasons_in_code() -> set[str]:
    """The second argument of every `Unusable(stage, reason, sentence)`; of `a if … else b` both."""
    found = set()
    for path in Path(xray_mining.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Unusable" and len(node.args) > 1:
                words = [each.value for each in ast.walk(node.args[1]) if isinstance(each, ast.Constant)]
                found |= {each for each in words if isinstance(each, str)}
    return found


def test_every_reason_has_a_hint_and_no_hint_is_for_nothing():
    reasons = reasons_in_code() | ELSEWHERE
    assert len(reasons) > 25
    # The reason may be in a variable: those are named in their sentences' files.
    in_variables = {"no_pixels", "unsupported_bits", "too_large", "not_an_image"}
    assert not reasons - HINTS.keys(), "a reason that the end of ingest says nothing about"
    assert not HINTS.keys() - reasons - in_variables


@pytest.mark.parametrize(
    ("reason", "elements"),
    [
        ("length_mismatch", {"Rows": 97}),
        ("unencapsulated", {"Rows": 97, "syntax": "1.2.840.10008.1.2.4.70"}),
    ],
)
def test_the_end_of_ingest_says_what_to_do(tmp_path, make_dicom, run_ingest, reason, elements):
    import pydicom

    path = make_dicom(tmp_path / "a/one.dcm", number=1)
    dataset = pydicom.dcmread(path)
    dataset.Rows = elements["Rows"]
    data = path.read_bytes()
    dataset.save_as(path)
    if "syntax" in elements:
        data = path.read_bytes()
        # UIDs of one even length: the group's length stays.
        old, new = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.70"
        at = data.index(old) - 2
        length = int.from_bytes(data[140:144], "little") + len(new) - len(old)
        data = data[:at] + len(new).to_bytes(2, "little") + new + data[at + 2 + len(old) :]
        path.write_bytes(data[:140] + length.to_bytes(4, "little") + data[144:])
    _, summary = run_ingest(tmp_path / "a", tmp_path / "w")
    assert [each.reason for each in summary.outcomes if each.outcome == "rejected"] == [reason]
    assert summary.hint == HINTS[reason] and summary.hint in summary.lines()
