"""Long trials of what the manual promises: `python -m tests.reliability.fuzz`, `python -m tests.reliability.kills`."""
