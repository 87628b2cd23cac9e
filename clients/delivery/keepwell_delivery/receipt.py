"""What can become of one attempt to contact somebody. A channel returns the provider's id, or raises one of these.

`detail` goes into logs and into the outcome log: codes and words of ours, never a provider's text, which may quote an address.
"""


class DeliveryError(Exception):
    """It was not sent, or nobody knows."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RefusedError(DeliveryError):
    """It was not sent, and the same again would not be either.

    Attributes:
        opted_out: The provider knows that the lead wants no more on this channel.

    """

    def __init__(self, detail: str, *, opted_out: bool = False) -> None:
        super().__init__(detail)
        self.opted_out = opted_out


class TryLaterError(DeliveryError):
    """It was not sent, and may be later.

    Attributes:
        seconds: After how long, if the provider said so.

    """

    def __init__(self, detail: str, seconds: float | None = None) -> None:
        super().__init__(detail)
        self.seconds = seconds


class UncertainError(DeliveryError):
    """It may have been sent: the connection was lost, or an answer did not come in time, after the provider may have had all of it."""
