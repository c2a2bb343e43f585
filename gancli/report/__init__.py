"""Telling people and programs what a run does. Knows `gancli.events` and nothing of how a run works; never imports torch."""
