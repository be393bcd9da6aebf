"""Whether new calls are welcome."""


class Readiness:
    """Shutdown sets `open` to False first, so that a balancer looks elsewhere while what is under way ends."""

    def __init__(self) -> None:
        self.open = True
