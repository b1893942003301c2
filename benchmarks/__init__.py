"""Measurements: how often the right entry is found, and how long it takes."""
