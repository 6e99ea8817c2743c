"""Files that are shipped with the toolkit."""

from pathlib import Path

from xray_mining.errors import UserError


def asset(relative: str) -> Path:
    """A shipped file (sql/…, reports/…, pipelines/…), in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    for base in (package.parent, package / "_assets"):
        if (base / relative).exists():
            return base / relative
    raise UserError(f"{relative}: is not part of this xray-mining; check the name, or install it again")
