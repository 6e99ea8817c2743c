"""The command line: every module of this folder adds its commands to the app."""

import pkgutil
from importlib import import_module

from xray_mining import cli
from xray_mining.cli.app import run


def main() -> None:
    """Entry point of `xray-mining`."""
    for module in pkgutil.iter_modules(cli.__path__):
        if module.name not in ("app", "main"):
            import_module(f"xray_mining.cli.{module.name}")
    run()


if __name__ == "__main__":
    main()
