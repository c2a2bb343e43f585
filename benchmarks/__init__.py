"""Ours against the loop that tutorials write, on the same machine, alternating: `python -m benchmarks`."""
