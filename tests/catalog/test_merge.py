"""Merge: books that balance, the earliest copy kept, nothing made twice, never a file that is half there."""

import threading

import duckdb
import polars as pl
import pytest

from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.merge import merge, read_about
from xray_mining.errors import CannotFinish, UserError
from xray_mining.records.file_events import FileEvents
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.near_duplicates import NearDuplicates
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import ArchiveSettings


def rows_of(workspace, query: str, **parameters) -> pl.DataFrame:
    with connect(workspace) as con:
        return frame(con, query, parameters)


def pixels_row(make, number: int, offset: int = 0, archive: str = "here", shard: int = 0) -> dict:
    return {
        "image_key": make.key("image", number),
        "store": "store",
        "archive": archive,
        "shard": shard,
        "offset": offset,
        "side_px": 8,
        "value_type": "uint8",
        "content_left": 0.0,
        "content_top": 0.0,
        "content_width": 8.0,
        "content_height": 8.0,
        "window_source": "percentiles",
        "inverted": False,
        "clipped_fraction": 0.0,
        "decoder": "none",
    }


def finding_row(make, number: int, value: float, name: str = "score") -> dict:
    return {
        "image_key": make.key("image", number),
        "study_key": make.key("study", number),
        "patient_key": make.key("patient", number),
        "name": name,
        "value": value,
        "unit": "",
        "source": "table",
        "source_version": "",
    }


def add_archive(workspace, name: str, order: int) -> None:
    settings = workspace.settings
    archives = dict(settings.archives) | {name: ArchiveSettings(domain=name, adapter="dicom_folder", order=order)}
    workspace.save(settings.model_copy(update={"archives": archives}))


def test_an_empty_workspace_merges_to_empty_tables(workspace):
    summary = merge(workspace)
    assert (summary.images, summary.duplicates, summary.rejects) == (0, 0, 0)
    assert rows_of(workspace, "select * from eligible").columns == rows_of(workspace, "select * from images").columns


def test_keys_are_uuids_and_columns_are_the_records(workspace, put, make):
    put(Images, [make.image(0)])
    merge(workspace)
    with connect(workspace) as con:
        types = dict(
            con.execute(
                "select column_name, data_type from duckdb_columns() "
                "where table_name = 'images' and database_name = 'catalog_file'"
            ).fetchall()
        )
    assert list(types) == list(Images.columns())
    assert types["image_key"] == types["pixel_digest"] == "UUID"
    assert types["quality_flags"] == "VARCHAR[]"


def test_same_instance_is_a_duplicate_of_the_earliest(workspace, put, make):
    add_archive(workspace, "later", 1)
    put(Images, [make.image(0)], shard=3)
    again = make.image(0, archive="later", file_key=make.key("copy"), shard=0)
    put(Images, [again], archive="later")
    summary = merge(workspace)
    assert (summary.images, summary.duplicates) == (1, 1)
    row = rows_of(workspace, "select * from duplicates").row(0, named=True)
    assert row["archive"] == "later" and row["reason"] == "same_instance"
    assert row["image_key"] == make.key("image", 0)


def test_the_order_of_archives_not_their_names_decides(workspace, put, make):
    add_archive(workspace, "a_later_one", 1)
    put(Images, [make.image(0)])
    put(Images, [make.image(1, archive="a_later_one", pixel_digest=make.key("pixels", 0))], archive="a_later_one")
    merge(workspace)
    assert rows_of(workspace, "select archive from images")["archive"].to_list() == ["here"]
    row = rows_of(workspace, "select * from duplicates").row(0, named=True)
    assert row["reason"] == "same_pixels" and row["instance_key"] == make.key("image", 1)


def test_a_copy_of_a_copy_names_the_kept_one(workspace, put, make):
    # 1 has 0's pixels; a second file of instance 1, encoded anew, comes later
    put(Images, [make.image(0), make.image(1, pixel_digest=make.key("pixels", 0))])
    put(Images, [make.image(1, shard=1, file_key=make.key("other"), pixel_digest=make.key("recoded"))], shard=1)
    summary = merge(workspace)
    assert (summary.images, summary.duplicates, summary.rejects) == (1, 2, 0)
    assert set(rows_of(workspace, "select image_key from duplicates")["image_key"]) == {make.key("image", 0)}


@pytest.mark.parametrize(("bits", "outcome"), [(2, "duplicate"), (30, "reject")])
def test_a_reused_uid_is_rejected_only_where_the_picture_is_clearly_another(workspace, put, make, bits, outcome):
    first = make.image(0, perceptual_hash=0)
    second = make.image(
        0, shard=1, file_key=make.key("other"), pixel_digest=make.key("other"), perceptual_hash=2**bits - 1
    )
    put(Images, [second], shard=1)
    put(Images, [first])
    summary = merge(workspace)
    assert summary.images == 1
    assert (summary.duplicates, summary.uid_reused) == ((1, 0) if outcome == "duplicate" else (0, 1))
    if outcome == "reject":
        row = rows_of(workspace, "select * from rejects").row(0, named=True)
        assert (row["stage"], row["reason"], row["shard"]) == ("merge", "uid_reused", 1)


def test_what_hangs_on_a_dropped_image_goes_with_it(workspace, put, make):
    add_archive(workspace, "later", 1)
    put(Images, [make.image(0)])
    put(Pixels, [pixels_row(make, 0, 0)])
    put(Findings, [finding_row(make, 0, 1.0)])
    put(Images, [make.image(0, shard=1, file_key=make.key("twin"))], shard=1)
    put(Pixels, [pixels_row(make, 0, 0, shard=1)], shard=1)
    put(Findings, [finding_row(make, 0, 2.0)], shard=1)
    put(Images, [make.image(0, archive="later"), make.image(5, archive="later", position=1)], archive="later")
    put(Pixels, [pixels_row(make, 0, 0, "later"), pixels_row(make, 5, 64, "later")], archive="later")
    put(Findings, [finding_row(make, 0, 3.0), finding_row(make, 5, 4.0)], archive="later")
    merge(workspace)
    found = rows_of(workspace, 'select image_key, archive, "offset" from pixels order by all')
    assert sorted(found.rows()) == sorted([(make.key("image", 0), "here", 0), (make.key("image", 5), "later", 64)])
    assert rows_of(workspace, "select value from findings order by value")["value"].to_list() == [1.0, 4.0]


def test_findings_of_a_patient_without_an_image_stay(workspace, put, make):
    put(Images, [make.image(0)])
    put(Findings, [finding_row(make, 0, 1.0) | {"image_key": None}])
    merge(workspace)
    assert rows_of(workspace, "select * from findings").height == 1


def test_near_duplicates_that_span_patients_leave_one_eligible(workspace, put, make):
    put(Images, [make.image(number) for number in range(4)] + [make.image(4, patient=3)])
    pairs = [(0, 1), (1, 2), (3, 4)]  # 0-1-2 is one group of three patients; 3-4 is one patient's
    rows = [
        dict(zip(("image_key_a", "image_key_b"), sorted((make.key("image", a), make.key("image", b))), strict=True))
        | {"distance": 3, "correlation": 0.99}
        for a, b in pairs
    ]
    put(NearDuplicates, rows, archive="_all")
    merge(workspace)
    first, second, _ = sorted(range(3), key=lambda number: make.key("image", number))
    own = {make.key("image", 3), make.key("image", 4)}
    assert set(rows_of(workspace, "select image_key from eligible")["image_key"]) == {make.key("image", first)} | own
    # Where the chosen one's file goes away, the next takes its place.
    gone = {"archive": "here", "run": "20260101T000000-a", "event": "vanished"}
    put(FileEvents, [gone | {"file_key": make.key("file", first)}])
    merge(workspace)
    assert set(rows_of(workspace, "select image_key from eligible")["image_key"]) == {make.key("image", second)} | own


def test_vanished_files_are_not_eligible_until_they_return(workspace, put, make):
    put(Images, [make.image(0), make.image(1), make.image(2)])
    events = [
        ("20260101T000000-a", 0, "vanished"),
        ("20260101T000000-a", 1, "vanished"),
        ("20260102T000000-a", 1, "returned"),
    ]
    put(
        FileEvents,
        [{"file_key": make.key("file", n), "archive": "here", "run": run, "event": event} for run, n, event in events],
    )
    merge(workspace)
    left = set(rows_of(workspace, "select image_key from eligible")["image_key"])
    assert left == {make.key("image", 1), make.key("image", 2)}


def test_a_file_that_was_moved_stands_where_it_is_now(workspace, put, make):
    moved = make.image(0, shard=1) | {"file_key": make.key("file", 7)}
    other = make.image(0, shard=2) | {
        "file_key": make.key("file", 8),
        "pixel_digest": make.key("pixels", 8),
        "perceptual_hash": 2**62 - 1,
    }
    put(Images, [make.image(0) | {"perceptual_hash": 0}, make.image(1)])
    put(Pixels, [pixels_row(make, 0), pixels_row(make, 1, offset=64)])
    for shard, row in ((1, moved), (2, other)):
        put(Images, [row], shard=shard)
        put(Pixels, [pixels_row(make, 0, shard=shard)], shard=shard)
    assert merge(workspace).images == 2
    asked = "select file_key, shard from eligible where image_key = $key"
    there = rows_of(workspace, asked, key=make.key("image", 0))
    assert there.rows() == [(make.key("file", 0), 0)]
    gone = {"archive": "here", "run": "20260101T000000-a", "event": "vanished"}
    put(FileEvents, [gone | {"file_key": make.key("file", 0)}])
    summary = merge(workspace)
    # Another picture under the same UID takes nobody's place.
    assert (summary.images, summary.duplicates, summary.uid_reused) == (2, 1, 1)
    assert rows_of(workspace, asked, key=make.key("image", 0)).rows() == [(make.key("file", 7), 1)]
    kept = rows_of(workspace, "select shard from pixels where image_key = $key", key=make.key("image", 0))
    assert kept["shard"].to_list() == [1]


def test_unchanged_parts_are_not_merged_again(workspace, put, make):
    put(Images, [make.image(0)])
    assert merge(workspace).catalog == "rebuilt"
    before = workspace.catalog.stat().st_mtime_ns
    assert merge(workspace).catalog == "unchanged"
    assert workspace.catalog.stat().st_mtime_ns == before
    put(Images, [make.image(1, shard=1)], shard=1)
    summary = merge(workspace)
    assert (summary.catalog, summary.results, summary.images) == ("rebuilt", "unchanged", 2)


def test_the_digest_says_what_is_there_not_how_it_came(workspace, put, make, tmp_path):
    put(Images, [make.image(0), make.image(1)])
    first = merge(workspace).catalog_digest
    put(Images, [make.image(1), make.image(0)])
    assert merge(workspace).catalog_digest == first
    put(Images, [make.image(1), make.image(0, age_years=21.5)])
    assert merge(workspace).catalog_digest != first


def test_a_damaged_part_is_named_and_the_old_file_stays(workspace, put, make):
    put(Images, [make.image(0)])
    merge(workspace)
    (workspace.parts("here", "images") / "00009.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(UserError, match=r"00009\.parquet"):
        merge(workspace)
    assert read_about(workspace.catalog)["counts"]
    assert not list(workspace.root.glob(".catalog.duckdb.*"))


def test_a_killed_merge_leaves_nothing_behind(workspace, put, make):
    put(Images, [make.image(0)])
    (workspace.root / ".catalog.duckdb.99999.partial").write_bytes(b"half")
    merge(workspace)
    assert not list(workspace.root.glob(".catalog.duckdb.*"))


def test_a_reader_keeps_what_it_opened_while_a_merge_renames(workspace, put, make):
    put(Images, [make.image(0)])
    with connect(workspace) as con:
        put(Images, [make.image(1, shard=1)], shard=1)
        assert merge(workspace).images == 2
        assert con.execute("select count(*) from images").fetchone() == (1,)
    assert rows_of(workspace, "select * from images").height == 2


def test_two_merges_at_once_give_one_whole_file(workspace, put, make):
    put(Images, [make.image(number) for number in range(50)])
    found = []
    threads = [threading.Thread(target=lambda: found.append(merge(workspace, force=True).images)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [50, 50, 50]


def test_an_older_part_without_a_new_nullable_column_is_taken(workspace, put, make):
    put(Images, [make.image(0)])
    old = workspace.parts("here", "images") / "00000.parquet"
    pl.read_parquet(old).drop("licence").write_parquet(old)
    assert merge(workspace).images == 1


def test_a_file_of_another_program_is_remade(workspace, put, make):
    put(Images, [make.image(0)])
    with duckdb.connect(str(workspace.catalog)) as con:
        con.execute("create table other (a int)")
    assert merge(workspace).images == 1


@pytest.mark.parametrize("kind", [duckdb.IOException, duckdb.OutOfMemoryException])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(workspace, put, make, monkeypatch, kind):
    put(Images, [make.image(0)])
    merge(workspace)
    before = workspace.catalog.read_bytes()

    def full(*_: object) -> None:
        raise kind(f'IO Error: Could not write file "{workspace.root}/.merge.spill/x": No space left on device')

    monkeypatch.setattr("xray_mining.catalog.merge._fill_catalog", full)
    with pytest.raises(CannotFinish, match=r"catalog.duckdb: could not be written.*No space left") as caught:
        merge(workspace, force=True)
    assert str(workspace.root) not in str(caught.value)
    assert workspace.catalog.read_bytes() == before
