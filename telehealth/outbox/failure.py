"""Why a message did not get out."""


class DeliveryFailed(Exception):
    """`code` is shown beside the visit; `final`: trying again would change nothing."""

    def __init__(self, code: str, *, final: bool) -> None:
        super().__init__(code)
        self.code = code
        self.final = final
