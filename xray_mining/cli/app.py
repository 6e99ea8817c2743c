"""The typer app, options that commands share, and the exit status of commands."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from typer.models import CommandInfo

    from xray_mining.progress import Summary

app = typer.Typer(
    name="xray-mining",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"xray-mining {version('xray-mining')}")
        raise typer.Exit


@app.callback(
    help="Mine populations of chest radiographs: who is in the archive, what can be read from the images, by which "
    "model, with what error, and whether the answer can be trusted. Not for diagnosis. Commands are listed in the "
    "order of use.",
)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Options that come before the command's name."""


def _default_workspace() -> Path:
    return Path(os.environ.get("XRAY_MINING_WORKSPACE") or "workspace")


WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        metavar="DIR",
        # No square brackets: rich takes them for markup and does not print their content.
        help="the folder for all results (default: the value of XRAY_MINING_WORKSPACE, else ./workspace)",
        default_factory=_default_workspace,
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print the closing summary as one JSON object")]


def finish(summary: "Summary", as_json: bool = False) -> None:
    """Print a command's closing summary: text for people, one JSON object with --json."""
    from xray_mining.progress import say

    say(summary, as_json)


def say_notes(notes: Iterable[str]) -> None:
    """Print notes about a study file on standard error, before the work begins."""
    for each in notes:
        print(f"xray-mining: note: {each}", file=sys.stderr)


ORDER_OF_USE = (
    *("phantom", "ingest", "status", "archive-report", "link", "check"),
    *("studies", "run", "cohort", "features", "embed", "measure", "train", "evaluate", "report", "predict"),
    *("sql", "locate", "merge", "dictionary"),
)
"""Order of the commands in `--help`; commands that are not listed here come last, by name."""


def name_of(command: "CommandInfo") -> str:
    """The name of a command on the command line."""
    return command.name or getattr(command.callback, "__name__", "").replace("_", "-")


def in_order_of_use() -> None:
    """Sort the registered commands by ORDER_OF_USE instead of by their files' names."""
    position = {name: number for number, name in enumerate(ORDER_OF_USE)}
    app.registered_commands.sort(key=lambda each: (position.get(name_of(each), len(position)), name_of(each)))


_INTERRUPTED = "interrupted; finished work is kept, and the same command continues from there"


def run() -> None:
    """Run the command line; a UserError prints its sentence and sets its exit status, an interrupt sets 130."""
    from xray_mining.errors import CannotFinish, UserError, refuse_other_systems

    try:
        refuse_other_systems()
        in_order_of_use()
        app()
    except UserError as error:
        _stop(str(error), error.exit_status)
    except KeyboardInterrupt:
        _stop(_INTERRUPTED, 130)
    except SystemExit as ended:
        # typer turns an interrupt into this status and prints nothing.
        if ended.code == 130:
            _stop(_INTERRUPTED, 130)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        import errno

        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            name = Path(str(error.filename)).name if error.filename else "the disk"
            _stop(
                str(
                    CannotFinish(f"{name}: {error.strerror}; free disk space or allow writing, and repeat the command")
                ),
                3,
            )
        _bug(error)
    except Exception as error:
        _bug(error)


def _bug(error: Exception) -> NoReturn:
    """Report an unexpected error (a bug) in one sentence, with the way to get its details."""
    if os.environ.get("XRAY_MINING_TRACEBACK"):
        raise error
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    _stop(f"a bug in the program ({what}); please report it with the output of XRAY_MINING_TRACEBACK=1", 3)


def _stop(sentence: str, status: int) -> NoReturn:
    print(f"xray-mining: {sentence}", file=sys.stderr)
    sys.exit(status)


__all__ = ["JsonOption", "WorkspaceOption", "app", "finish", "run", "say_notes"]
