"""Addresses as HOST:PORT."""

LARGEST_PORT = 65_535


def is_host_and_port(address: str, smallest_port: int) -> bool:
    """Return whether an address is HOST:PORT with a port that may be used; to listen on, 0 is one that the system chooses."""
    host, _, port = address.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and smallest_port <= int(port) <= LARGEST_PORT
