"""The fold of a patient: a digest of a public salt and the patient's key, the same in Python and in SQL."""

import hashlib

FOLDS, LEAST_FOLDS, MOST_FOLDS = 5, 3, 100
"""Folds of a cohort if nothing is said, and the limits: one fold is tested, one validates and the others train."""
SALT = "xray-mining"
"""Salt of the folds if nothing is said; it is public, and another salt gives other folds."""
FOLD_OF = (
    "create or replace macro fold_of(salt, patient_key, folds) as "
    "(('0x' || left(sha256(salt || ':' || patient_key::varchar), 15))::bigint % folds)"
)
"""The same definition for queries: 60 bits of SHA-256. DuckDB's own `hash()` is not used because it may change."""


def fold_of(salt: str, patient_key: str, folds: int) -> int:
    """Fold of a patient, 0 to folds - 1; it does not change when the archive grows.

    >>> fold_of("xray-mining", "00000000-0000-0000-0000-000000000001", 5)
    3
    """
    return int(hashlib.sha256(f"{salt}:{patient_key}".encode()).hexdigest()[:15], 16) % folds
