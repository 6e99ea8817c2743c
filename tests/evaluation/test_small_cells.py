"""Table 1 prints no small cell, and nothing from which one follows."""

from hypothesis import given
from hypothesis import strategies as st

from xray_mining.evaluation.cohorts import hide_what_tells_of_small_cells

SPLITS = ("train", "validation", "test")
LEAST = 10


def table(counts):
    """Rows of one variable from {level: (train, validation, test)}."""
    rows = []
    for level, parts in counts.items():
        for column, count in zip(("all", *SPLITS), (sum(parts), *parts), strict=True):
            hidden = 0 < count < LEAST
            found = {"patients": 0 if hidden else count, "images": 0 if hidden else count, "hidden": hidden}
            rows.append({"variable": "view", "level": level, "column": column, **found})
    return rows


def hidden(rows):
    return {(row["level"], row["column"]) for row in rows if row["hidden"]}


def test_one_small_cell_takes_a_second_with_it_in_its_row_and_column():
    rows = hide_what_tells_of_small_cells(
        table({"AP": (28, 7, 11), "PA": (600, 180, 190), "other": (90, 40, 50)}), [SPLITS]
    )
    assert ("AP", "validation") in hidden(rows)
    # Neither 46 - 28 - 11 nor the column's sum gives the seven away.
    assert len({cell for cell in hidden(rows) if cell[0] == "AP"}) >= 2
    assert len({cell for cell in hidden(rows) if cell[1] == "validation"}) >= 2
    assert all(row["patients"] == 0 for row in rows if row["hidden"])


def test_a_table_of_large_cells_is_printed_whole():
    assert hidden(hide_what_tells_of_small_cells(table({"AP": (28, 17, 11), "PA": (600, 180, 190)}), [SPLITS])) == set()


@given(st.lists(st.tuples(*(st.integers(0, 40) for _ in SPLITS)), min_size=1, max_size=5))
def test_no_line_has_a_single_hidden_cell_beside_printed_ones(parts):
    counts = {f"level{place}": part for place, part in enumerate(parts)}
    rows = hide_what_tells_of_small_cells(table(counts), [SPLITS])
    assert hidden(table(counts)) <= hidden(rows)
    lines = [[row for row in rows if row["level"] == level and row["column"] in SPLITS] for level in counts]
    lines += [[row for row in rows if row["column"] == column] for column in ("all", *SPLITS)]
    for line in lines:
        printed = [row for row in line if not row["hidden"] and row["patients"]]
        assert len([row for row in line if row["hidden"]]) != 1 or not printed
