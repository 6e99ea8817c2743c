"""Mine populations of chest radiographs: SQL cohorts, handcrafted and deep models, reports that can be trusted."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xray_mining.application.session import Session

__all__ = ["open"]


def open(workspace: str | Path = "workspace") -> "Session":
    """Open a workspace; its files stay open for fast access until it is closed.

    Args:
        workspace: The workspace's folder.

    Returns:
        The session; its methods are safe in threads.

    Raises:
        UserError: If the folder is not a workspace, or if this is not Linux.

    Example:
        >>> work = xray_mining.open(root)
        >>> work.sql("select count(*) as images from images")["images"][0]
        60
    """
    from xray_mining.application.session import Session

    return Session(workspace)
