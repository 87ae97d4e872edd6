"""Whether an answer is what a step expects: empty, or what was expected and what was seen. Pure."""

from celadon.drivers.journeys.texts import NothingCapturedError, fill, read_json
from celadon.host.http_exchange import Reply
from celadon.model.journeys import Expectation, Scalar


def judge_reply(reply: Reply, expect: Expectation, *, variables: dict[str, str], latency_s: float) -> str:
    return (
        _judge_status(reply, expect)
        or _judge_headers(reply, expect, variables)
        or _judge_body(reply, expect, variables)
        or _judge_latency(expect, latency_s)
    )


def _judge_status(reply: Reply, expect: Expectation) -> str:
    if reply.status in expect.statuses:
        return ""
    place = f" to {reply.headers['location']}" if "location" in reply.headers else ""
    return f"status {reply.status}{place}, expected {', '.join(map(str, expect.statuses))}"


def _judge_headers(reply: Reply, expect: Expectation, variables: dict[str, str]) -> str:
    for name, value in expect.headers.items():
        wanted, seen = fill(value, variables), reply.headers.get(name.lower())
        if seen is None:
            return f"no header {name}, expected one with {wanted!r}"
        if wanted not in seen:
            return f"header {name} is {seen!r:.200}, expected {wanted!r} in it"
    return ""


def _judge_body(reply: Reply, expect: Expectation, variables: dict[str, str]) -> str:
    text = reply.body.decode(errors="replace")
    for each in expect.body_contains:
        if (wanted := fill(each, variables)) not in text:
            return f"status {reply.status}, but the body does not contain {wanted!r}"
    for path, value in expect.json.items():
        expected: Scalar = fill(value, variables) if isinstance(value, str) else value
        try:
            seen = read_json(text, path)
        except NothingCapturedError as error:
            return f"{error}, expected {expected!r}"
        if seen != expected or isinstance(seen, bool) is not isinstance(expected, bool):
            return f"{path} is {seen!r:.200}, expected {expected!r}"
    return ""


def _judge_latency(expect: Expectation, latency_s: float) -> str:
    if expect.max_latency_s is None or latency_s <= expect.max_latency_s:
        return ""
    return f"the answer took {latency_s * 1000:.0f} ms, expected at most {expect.max_latency_s * 1000:.0f} ms"
