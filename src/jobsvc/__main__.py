"""`python -m jobsvc`: the same as the `jobsvc` command."""

from jobsvc.cli import main

main()
