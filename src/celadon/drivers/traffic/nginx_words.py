"""Values of nginx's variables, looked up where converting would cost: a line may take two microseconds in all."""

from celadon.drivers.traffic.memo import Memo

STATUSES = {f"{status:03}": status for status in range(1000)}
"""`$status`: three digits always."""

DURATIONS_MS = Memo(lambda seconds: float(seconds) * 1000)
"""`$request_time`. Raises ValueError for what is no number."""


class _UpstreamStatuses(dict[str, int | None]):
    def __missing__(self, text: str) -> int | None:
        last = last_try(text)
        if last == text:
            raise KeyError(text)
        return self[last]


UPSTREAM_STATUSES = _UpstreamStatuses({**STATUSES, "": None, "-": None})
"""`$upstream_status`. None: nobody was asked. Raises KeyError for what nginx does not write."""


def last_try(text: str) -> str:
    """nginx writes one a try (`502, 200`, ` : ` after an internal redirect); the last one is what the client got."""
    return text.replace(" : ", ", ").rpartition(", ")[2]
