"""sendonce: a durable mass-messaging server. Nothing accepted is lost, nothing is sent twice."""

__version__ = "0.1.0"
