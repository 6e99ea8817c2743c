"""`python -m xray_mining` is `xray-mining`."""

from xray_mining.cli.main import main

main()
