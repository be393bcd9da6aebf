"""What the process says about itself: log lines and metrics. Never a secret, never a whole phone number."""
