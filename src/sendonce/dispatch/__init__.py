"""From a lease to outcomes: leasing windows, pacing, sending, recording, shutting down. See DESIGN.md."""
