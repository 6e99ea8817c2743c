"""Which row a file has: the one that names it, else the only one that it alone can have."""

import time

import polars as pl
import pytest

from xray_mining.archive.row_names import FileName, RowNames, contested, path_texts, settled

NONE, DOUBTFUL = "none", "doubtful"
CASES = {
    "a point is part of a name": (["case7.post", "case9"], {"case7.png": NONE, "case7.post.png": 0, "case9.png": 1}),
    "nobody takes another's row": (["case7.post"], {"case7.png": NONE}),
    "two files of one stem": (["case9"], {"case9.png": DOUBTFUL, "case9.dcm": DOUBTFUL}),
    "one of two is named": (["case9.png"], {"case9.png": 0, "case9.dcm": NONE}),
    "a stem is no ending of digits": (["1.2.3", "1.2.4"], {"1.2.3.dcm": 0, "1.2.4": 1, "1.2": NONE, "1.2.4.7": NONE}),
    "two files of one name": (["x.png"], {"a/x.png": DOUBTFUL, "b/x.png": DOUBTFUL}),
    "the end of a path tells": (["p1/x.png", "p2/x.png"], {"f/p1/x.png": 0, "f/p2/x.png": 1}),
    "the path goes before the name": (["sub/a.png", "a.png"], {"a.png": 1, "sub/a.png": 0}),
    "two rows of one stem": (["a.png", "a.dcm"], {"a.jpg": DOUBTFUL}),
    "the first of rows of one path": (["a.png", "./a.png", "a.png"], {"a.png": 0}),
    "paths of Windows": ([r"C:\data\img\a.png", r".\sub\b.png"], {"a.png": 0, "sub/b.png": 1}),
    "unicode composed or not": (["\u00fc.png"], {"u\u0308.png": 0}),
    "capitals of an ending": (["a.PNG", "b.dcm"], {"a.png": 0, "b.DCM": 1}),
    "capitals of a name are another name": (["A.png"], {"a.png": NONE}),
    "double endings": (["a.nii.gz", "b.dcm.gz"], {"a.png": 0, "b.dcm": 1}),
    "a folder is no file": (["dir/", "", None, "/"], {"dir": NONE, "a.png": NONE}),
    "a better claim wins": (["x.png"], {"sub/x.png": 0, "x.jpg": NONE + "?"}),
}


def rows_of(stated: list[str | None], paths: list[str], broken: frozenset[int] = frozenset()) -> dict[str, object]:
    names = RowNames.of(pl.Series(stated, dtype=pl.String), broken)
    claims = names.claims([FileName((f"img/{path}", path)) for path in paths])
    found = settled(claims, contested(claims))
    said = {}
    for number, path in enumerate(paths):
        row = found.get(number)
        said[path] = NONE if row is None else DOUBTFUL if row.row is None and row.rivals else row.row
        if row is not None and row.row is None and not row.rivals:
            said[path] = NONE
    return said


@pytest.mark.parametrize("case", CASES)
def test_the_row_of_a_file(case):
    stated, wanted = CASES[case]
    found = rows_of(stated, list(wanted))
    for path, row in wanted.items():
        assert found[path] in ((NONE, DOUBTFUL) if row == NONE + "?" else (row,)), path
    # The order of files plays no part.
    assert rows_of(stated, list(reversed(wanted))) == found


def test_a_broken_row_counts_only_where_no_whole_one_has_its_name():
    assert rows_of(["a.png", "a.png", "b.png"], ["a.png", "b.png"], frozenset({0, 2})) == {"a.png": 1, "b.png": 2}


def test_names_in_an_older_encoding_are_letters():
    assert path_texts("Müller.png".encode("latin-1")) == ["Müller.png", r"M\xfcller.png"]
    assert path_texts("Müller.png".encode()) == ["Müller.png"]


def test_a_name_that_all_files_share_costs_no_pairs_of_files_and_rows():
    # Joined pair by pair these are 25 million rows of text, and of a set of 200,000 more than any memory holds.
    count = 5000
    begun = time.monotonic()
    names = RowNames.of(pl.Series([f"set/p{number}/study1/view1.jpg" for number in range(count)]))
    found = names.claims([FileName((f"other/p{number}/study1/view1.jpg",)) for number in range(count)])
    assert found["rivals"].all() and found.height == count
    found = names.claims([FileName((f"p{number}/study1/view1.jpg",)) for number in reversed(range(count))])
    assert found["row"].to_list() == list(reversed(range(count))) and not found["rivals"].any()
    found = names.claims([FileName((f"a/set/p{number}/study1/view1.jpg",)) for number in range(count)])
    assert found["row"].to_list() == list(range(count)) and not found["rivals"].any()
    assert time.monotonic() - begun < 8
