"""The one door for API, CLI and pages: one noun a file. Knows protocols, never an engine or a channel."""
