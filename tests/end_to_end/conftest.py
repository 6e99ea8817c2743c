"""A phantom archive and the whole chain run on it, once a session."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
XRAY_MINING = Path(sys.executable).with_name("xray-mining")


@pytest.fixture(scope="session")
def call() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line from the checkout, so that a study's relative paths hold."""

    def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
        settings = {"capture_output": True, "text": True, "timeout": 500, "cwd": CHECKOUT, **options}
        return subprocess.run([str(XRAY_MINING), *map(str, words)], check=False, **settings)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., "subprocess.Popen[str]"]:
    """Start the command line as a process group of its own, to be interrupted or killed as a whole."""

    def run(*words: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(XRAY_MINING), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=CHECKOUT,
            start_new_session=True,
            # A runner that ignores interrupts would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            env={**os.environ},
        )

    return run


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, call: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    """300 patients at 96 pixels, with planted repeats and duplicates."""
    folder = tmp_path_factory.mktemp("archive") / "phantom"
    said = call("phantom", folder, "--patients", 300, "--seed", 5, "--size", 96, "--plant", "repeats,duplicates")
    assert said.returncode == 0, said.stderr
    return folder


@pytest.fixture(scope="session")
def study_file() -> Path:
    return CHECKOUT / "tests/end_to_end/mini.yaml"


@pytest.fixture(scope="session")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
    call: Callable[..., subprocess.CompletedProcess[str]],
    archive: Path,
    study_file: Path,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The workspace of one uninterrupted run, and what the run said."""
    workspace = tmp_path_factory.mktemp("whole") / "workspace"
    said = call("run", study_file, "--archive", archive, "--workspace", workspace)
    assert said.returncode == 0, said.stderr
    return workspace, said
