"""The embedded engine: one SQLite file, any number of processes on one machine."""
