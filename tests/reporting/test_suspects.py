"""NOISE001 judges nothing, so it passes with suspects: a public page lists them, any other says how to see them."""

import dataclasses
import json

import polars as pl
import pytest

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Code, Text
from xray_mining.reporting.sections import audits

KEY = "bdda4a7f-c18f-d382-48f2-b12503008b1c"


@pytest.fixture
def with_suspects(example):
    results = Results.load(example)
    suspects = json.dumps([{"unit_key": KEY, "label": "M", "probability": 0.017}])
    noise = pl.col("code") == "NOISE001"
    values = {"outcome": "passed", "evidence": suspects, "offenders": "18"}
    checks = results.check_results.with_columns(
        pl.when(noise).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()
    )
    return dataclasses.replace(results, check_results=checks)


def texts(results, kind):
    return [block.text for block in audits.build(results).everything() if isinstance(block, kind)]


def test_a_private_set_tells_the_count_and_the_command(with_suspects):
    assert not any(KEY in text for text in texts(with_suspects, Code))
    (told,) = (text for text in texts(with_suspects, Text) if "NOISE001" in text)
    assert "the first of 18" in told and "xray-mining sql" in told and "evidence from check_results" in told


def test_a_public_set_lists_them(with_suspects):
    public = dataclasses.replace(with_suspects, notes=dataclasses.replace(with_suspects.notes, show_unexamined=True))
    assert any(KEY in text for text in texts(public, Code))
    assert not any("xray-mining sql" in text for text in texts(public, Text))
