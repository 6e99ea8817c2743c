"""Words for numbers of patients that are too small to be printed."""

LEAST_PATIENTS = 10
"""Smaller numbers of patients are not printed, unless an evaluation's options say another number."""


def told(count: int, least: int = LEAST_PATIENTS) -> str:
    """A number of patients, images or answers as a sentence prints it.

    >>> told(1234), told(0), told(3)
    ('1,234', '0', 'fewer than 10')
    """
    return f"{count:,}" if count >= least or not count else f"fewer than {least}"


def is_small(count: int, least: int = LEAST_PATIENTS) -> bool:
    """Whether a number of patients is too small to be printed; 0 may be printed."""
    return 0 < count < least
