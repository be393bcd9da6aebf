"""`python -m sendonce` is the command `sendonce`."""

from sendonce.cli.app import main

main()
