"""Every record: documented, typed, and its parts keep their types when they are empty."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xray_mining.errors import CannotFinish, UserError
from xray_mining.records.images import Images
from xray_mining.records.masks import decode_mask, encode_mask
from xray_mining.records.record import Record
from xray_mining.records.tables import ALL

EVERY = pytest.mark.parametrize("record", ALL, ids=lambda record: record.table)


@EVERY
def test_every_column_says_what_it_is(record: type[Record]):
    for name, column in record.columns().items():
        assert column.description, f"{record.table}.{name} has no description"
    assert record.question


@EVERY
def test_an_empty_part_keeps_its_types(record: type[Record], tmp_path):
    path = tmp_path / "part.parquet"
    record.write(record.create_empty(), path)
    assert pl.read_parquet(path).schema == record.create_empty().schema
    assert record.read(tmp_path).schema == record.create_empty().schema


@EVERY
def test_a_part_comes_back_as_it_went(record: type[Record], tmp_path):
    rows = record.sample(20)
    record.write(rows, tmp_path / "part.parquet")
    assert record.read(tmp_path).equals(rows)


def test_a_part_that_went_away_while_it_was_listed_is_no_damaged_one(tmp_path):
    with pytest.raises(CannotFinish, match=r"00001\.parquet: this part of images was removed"):
        Images.read([tmp_path / "00001.parquet"])


def test_a_damaged_part_is_named(tmp_path):
    (tmp_path / "00001.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(UserError, match=r"00001\.parquet"):
        ALL[0].read(tmp_path)


@given(arrays(bool, st.integers(1, 12).map(lambda side: (side, side))))
def test_run_lengths_give_the_mask_back(mask):
    lengths = encode_mask(mask)
    assert sum(lengths) == mask.size
    assert np.array_equal(decode_mask(lengths, mask.shape[0]), mask)
