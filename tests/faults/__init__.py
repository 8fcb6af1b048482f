"""Faults at single calls of a run."""
