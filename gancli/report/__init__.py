"""Reporters: each takes the events of a run and prints or writes them. Imports torch only for TensorBoard."""
