"""Measurements: each prints a table or JSON, with the machine it ran on."""
