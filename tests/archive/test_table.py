"""Tables as people export them: read to the same rows whatever their encoding, separator, line ends or kind of file."""

import codecs
import csv
import gzip
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xray_mining.archive.csv_file import first_names
from xray_mining.archive.generic import Generic
from xray_mining.archive.rows_by_name import NamedRow, Places, RowsByName
from xray_mining.archive.sources.folder import FolderSource, file_at
from xray_mining.archive.table import Table, keep_table, need_columns, read_table
from xray_mining.errors import UserError

ROWS = [("Müller1", "61", "Grün"), ("Möller1", None, "a;b,c\td|e")]
NAMES = ["pid", "Größe", "gruppe"]


def written(path: Path, encoding: str = "utf-8", separator: str = ",", ends: str = "\n", mark: bytes = b"") -> Path:
    lines = [NAMES, *([cell or "" for cell in row] for row in ROWS)]
    quoted = [separator.join(f'"{cell}"' if cell in ("", "a;b,c\td|e") else cell for cell in line) for line in lines]
    path.write_bytes(mark + (ends.join(quoted) + ends).encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "mark", "said"),
    [
        ("utf-8", b"", ""),
        ("utf-8", codecs.BOM_UTF8, ""),
        ("utf-16", b"", ""),
        ("utf-16-be", codecs.BOM_UTF16_BE, ""),
        ("utf-16-le", b"", "read as UTF-16"),
        ("utf-32", b"", ""),
        ("cp1252", b"", "read as Windows-1252"),
    ],
)
def test_a_table_is_the_same_in_any_encoding(tmp_path, encoding, mark, said, separator, ends):
    path = written(tmp_path / "t.csv", encoding, separator, ends, mark)
    table = read_table(*file_at(path))
    assert table.columns == tuple(NAMES)
    assert table.frame.rows() == ROWS
    assert first_names(*file_at(path)) == NAMES
    assert bool(table.notes) == bool(said) and said in " ".join(table.notes)


def test_bytes_of_no_encoding_never_become_the_same_text(tmp_path):
    lines = b"".join(bytes([byte]) + b"x\n" for byte in range(0x80, 0x100))
    (tmp_path / "t.csv").write_bytes(b"pid\n" + lines)
    table = read_table(*file_at(tmp_path / "t.csv"))
    assert table.frame["pid"].n_unique() == 0x7F, "of spaces at the ends, 0x85 and 0xA0, one is like the other"
    assert "Latin-1" in table.notes[0]


def test_a_stated_encoding_is_taken_or_refused_by_name(tmp_path):
    path = written(tmp_path / "t.csv", "cp1250")
    assert read_table(*file_at(path), encoding="cp1250").frame.rows() == ROWS
    with pytest.raises(UserError, match="is not text in ascii"):
        read_table(*file_at(path), encoding="ascii")
    with pytest.raises(UserError, match="the encoding 'utf-9' is unknown"):
        read_table(*file_at(path), encoding="utf-9")


def test_packed_parquet_and_spreadsheets_are_the_same(tmp_path):
    frame = pl.DataFrame(ROWS, schema=NAMES, orient="row")
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_excel(tmp_path / "t.xlsx")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(written(tmp_path / "t.csv").read_bytes()))
    for name in ("t.parquet", "t.xlsx", "t.csv.gz"):
        assert read_table(*file_at(tmp_path / name)).frame.rows() == ROWS, name


def test_typed_columns_are_texts_as_people_write_them(tmp_path):
    from datetime import date

    frame = pl.DataFrame({"id": [7.0, None, 8.5], "day": [date(2015, 5, 3), None, None], "yes": [True, False, None]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_table(*file_at(tmp_path / "t.parquet")).frame.rows() == [
        ("7", "2015-05-03", "true"),
        (None, None, "false"),
        ("8.5", None, None),
    ]


@pytest.mark.parametrize(
    ("content", "rows", "broken"),
    [
        ("a,b\n1,2,3\n4,5\n", [("1", "2"), ("4", "5")], {0}),
        ("a,b\n1,2,,\n4,5\n", [("1", "2"), ("4", "5")], set()),
        ("a,b\n1\n4,5\n", [("1", None), ("4", "5")], set()),
        ('a,b\n"1,2\n4,5\n6,7\n', [('"1', "2"), ("4", "5"), ("6", "7")], {0}),
        ('a,b\n"1,2\n4,5\n"6,7\n8,9\n', [('"1', "2"), ("4", "5"), ('"6', "7"), ("8", "9")], {0, 2}),
        ('a,b\n"one\ntwo",2\n4,5\n', [("one\ntwo", "2"), ("4", "5")], set()),
        ('a,b\n"1"x,2\n4,5\n', [("1x", "2"), ("4", "5")], set()),
        ('a,b\n1,2\n"4,5', [("1", "2"), ('"4', "5")], {1}),
        ('a,b\n5" wide,2\n4,5\n', [('5" wide', "2"), ("4", "5")], set()),
        ("sep=;\na;b\n1;2\n", [("1", "2")], set()),
        ("\n\na,b\n\n1,2\n\n", [("1", "2")], set()),
    ],
)
def test_ragged_rows_and_quotes_cost_no_other_row(tmp_path, content, rows, broken):
    (tmp_path / "t.csv").write_text(content)
    table = read_table(*file_at(tmp_path / "t.csv"))
    assert table.frame.rows() == rows
    assert table.broken == broken


def test_a_quote_that_is_never_closed_in_a_long_table_costs_its_row_only(tmp_path):
    lines = [f"{number},x" for number in range(40_000)]
    lines[7] = '"7,x'
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    table = read_table(*file_at(tmp_path / "t.csv"))
    assert table.height == 40_000 and table.broken == {7}
    assert table.frame["a"][39_999] == "39999"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", "the table is empty"),
        ("t.parquet", b"QZ71,QZ72\n", "is not a table of the type in its suffix"),
        ("t.xlsx", b"QZ71,QZ72\n", "cannot be read as a spreadsheet"),
        ("t.csv", gzip.compress(b"QZ71,a\n" * 99, mtime=0)[:20], "is damaged or cut off"),
        ("gone.csv", None, "the table is missing"),
        ("gone.parquet", None, "the table is missing"),
        ("gone.xlsx", None, "the table is missing"),
    ],
)
def test_what_is_no_table_is_refused_without_a_cell(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as refused:
        read_table(*file_at(tmp_path / name))
    assert "QZ7" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_with_one_endless_line_is_no_table_and_says_so(tmp_path):
    (tmp_path / "t.csv").write_text("Q" * 200_000 + "\n1\n")
    assert first_names(*file_at(tmp_path / "t.csv")) == []
    with pytest.raises(UserError, match="has no column 'pid'; none of its 1 columns has a needed name"):
        need_columns(read_table(*file_at(tmp_path / "t.csv")), ["pid"], "t.csv")


def test_a_table_without_a_line_of_names_is_not_printed(tmp_path):
    (tmp_path / "t.csv").write_text("QZ71,61\nQZ72,33\n")
    with pytest.raises(UserError, match="none of its 2 columns has a needed name") as refused:
        need_columns(read_table(*file_at(tmp_path / "t.csv")), ["pid", "age"], "t.csv")
    assert "QZ7" not in str(refused.value)
    table = Table.of(pl.DataFrame({"pid": ["1"], "sex": ["F"]}))
    with pytest.raises(UserError, match="has no column 'age'; it has pid, sex"):
        need_columns(table, ["pid", "age"], "t.csv")


def test_a_large_table_is_kept_for_other_processes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "\n".join(f"{number},x" for number in range(50_000)) + "\n5,6,7\n")
    table, files = keep_table(read_table(*file_at(path)), tmp_path / "kept")
    assert files == set((tmp_path / "kept").iterdir())
    again = read_table(*file_at(path), kept=tmp_path / "kept")
    assert again.rows([3, 49_999]) == {3: {"a": "3", "b": "x"}, 49_999: {"a": "49999", "b": "x"}}
    assert again.rows([]) == {}
    # Who wants some rows has a group of them in memory, not the table.
    [path_kept] = (tmp_path / "kept").glob("*.parquet")
    groups = f"select count(distinct row_group_id) from parquet_metadata('{path_kept}')"
    assert duckdb.sql(groups).fetchall() == [(6,)]
    assert (again.height, again.broken, again.columns) == (table.height, {50_000}, ("a", "b"))
    path.write_text("a,b\n1,2\n")
    assert read_table(*file_at(path), kept=tmp_path / "kept").frame.rows() == [("1", "2")]


def test_what_is_kept_beside_a_table_is_there_for_other_jobs_all_the_time(tmp_path, monkeypatch):
    folder, kept = tmp_path / "a", tmp_path / "kept"
    folder.mkdir()
    (folder / "t.csv").write_text("f,p\n" + "".join(f"{number}.png,1\n" for number in range(50_000)))
    (folder / "mapping.yaml").write_text("table: t.csv\ncolumns: {image: f, patient_id: p}\n")
    Generic(FolderSource(folder)).keep_tables(kept)
    first = set(kept.iterdir())
    assert {each.suffix for each in first} == {".parquet", ".json", ".names"}
    (kept / "older.names").touch()
    gone = []
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda self, *rest, **more: (gone.append(self.name), unlink(self, *rest, **more))
    )
    Generic(FolderSource(folder)).keep_tables(kept)
    assert [each for each in gone if not each.endswith(".partial")] == ["older.names"]
    assert set(kept.iterdir()) == first


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\n\r\t")),
            min_size=2,
            max_size=2,
        )
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_python_writes_is_read(tmp_path, rows):
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    newlines = [[cell.replace("\r\n", "\n").replace("\r", "\n").strip() or None for cell in row] for row in rows]
    table = read_table(*file_at(path))
    assert [list(row) for row in table.frame.rows()] == newlines
    assert not table.broken


def test_rows_by_name_are_those_prepared_and_others_on_asking():
    table = Table.of(pl.DataFrame({"a": ["x", "y", "x", None], "b": ["1", "2", "3", "4"]}), broken=[1])
    rows = RowsByName(table, table.column("a"))
    assert len(rows) == 2
    for prepared in ([], ["x", "y", "z", None]):
        rows.prepare(prepared)
        assert rows.get("x") == NamedRow({"a": "x", "b": "1"}, broken=False)
        assert rows.get("y") == NamedRow({"a": "y", "b": "2"}, broken=True)
        assert rows.get("z") is None and rows.get(None) is None


def test_the_place_of_a_name_is_that_of_its_first_whole_row():
    names = ["b", None, "a", "b", "c", "a"]
    places = Places(pl.Series(names), frozenset({0}))
    assert [places.get(name) for name in ("a", "b", "c", "d", None)] == [2, 3, 4, None, None]
    assert len(places) == 3
