"""Duties that keep the store tidy and moving, one a file, each run by every process."""
