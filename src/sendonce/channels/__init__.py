"""Ways to reach people, one file each. Adding one is adding a file and a line in `compose.py`."""
