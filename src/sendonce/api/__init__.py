"""HTTP: JSON in camelCase, errors as problem details. All routes stand in `app.py`."""
