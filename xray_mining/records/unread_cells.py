"""unread_cells: cells of tables and headers that state something and could not be read."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.records.record import Record, choice, count, text

REASONS = (
    "bound",
    "with_unit",
    "not_a_number",
    "ambiguous_number",
    "out_of_range",
    "not_a_date",
    "partial_date",
    "ambiguous_date",
    "impossible_date",
    "placeholder_date",
    "not_an_age",
    "impossible_age",
    "unknown_word",
    "not_a_list",
)
"""Why a stated cell could not be read."""
_MOST_UNREAD_LINES = 20


class UnreadCells(Record):
    """The text of the cells is not stored in the workspace, because it may identify a patient."""

    table = "unread_cells"
    question = (
        "one stated cell of a table or header that could not be read; for a linked table, all cells of one column and "
        "reason"
    )

    archive = text("the archive's given name; for a linked table, the table's name")
    source = text("where it was stated: the adapter's name, or 'link'")
    shard = count("shard of the archive's file list")
    position = count("position within the shard")
    name = text("the value that the cell states: a column of images, or a finding")
    reason = choice("why it could not be read", REASONS)
    cells = count("number of such cells", min=1)


@dataclass(frozen=True, slots=True)
class UnreadColumn:
    """Number of stated cells for one value that could not be read for one reason."""

    name: str
    reason: str
    cells: int


def unread_lines(unread: Sequence[UnreadColumn]) -> list[str]:
    """One line per value, with the reasons for its unread cells; the value with most cells first."""
    names: dict[str, dict[str, int]] = {}
    for each in unread:
        reasons = names.setdefault(each.name, {})
        reasons[each.reason] = reasons.get(each.reason, 0) + each.cells
    ordered = sorted(names.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    lines = []
    for name, reasons in ordered[:_MOST_UNREAD_LINES]:
        words = ", ".join(f"{reason.replace('_', ' ')} {cells:,}" for reason, cells in sorted(reasons.items()))
        lines.append(f"{name}: {_cells(sum(reasons.values()))} could not be read ({words})")
    if len(ordered) > _MOST_UNREAD_LINES:
        lines.append(f"and cells of {len(ordered) - _MOST_UNREAD_LINES:,} more columns; --json has all of them")
    return lines


def _cells(count: int) -> str:
    return f"{count:,} stated cell" if count == 1 else f"{count:,} stated cells"
