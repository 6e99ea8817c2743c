"""What all tests share: the real data beside the checkout, tools that may be missing, a clean environment."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from pydicom import config

# Tests write invalid files on purpose; the package itself changes this setting only while it reads a file.
config.settings.reading_validation_mode = config.IGNORE
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
SHARED = Path(os.environ.get("XRAY_MINING_SHARED") or Path(__file__).parents[2] / "shared")


def pytest_configure(config: pytest.Config) -> None:
    # The same examples at every run of one commit, so that a red test is due to a change; `make soak` draws new ones.
    settings.register_profile("repeatable", derandomize=True)
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("repeatable")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("-m")
    if "soak" not in wanted:
        for item in items:
            if "soak" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="long version: run by `make soak`"))


def needed(what: object, sentence: str) -> None:
    """Go on where `what` is true; else fail under CI and skip with the sentence elsewhere."""
    if not what:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)


def tool(program: str, package: str) -> str:
    """Path of a program; the test skips (fails under CI) where the Debian package is missing."""
    found = shutil.which(program)
    needed(found, f"{program} is missing: install the Debian package {package}")
    return str(found)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real radiographs and golden values that lies beside the checkout."""
    needed((SHARED / "data").is_dir(), "the real data folder is not there: set XRAY_MINING_SHARED to it")
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> str:
    return tool("chromium", "chromium")


@pytest.fixture(scope="session")
def dcmtk() -> str:
    return tool("dcmdump", "dcmtk")
