"""`python -m server` is `keepwell`."""

from server.cli import main

main()
