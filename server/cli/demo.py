"""placeholder"""


def demo() -> None:
    """Play a simulated portfolio."""
