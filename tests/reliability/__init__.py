"""Trials of what the manual promises. By hand, before a release: `python -m tests.reliability.surroundings`, `... .kill` and
`... .fuzz`, which take an hour together. The tests do the same in short."""
