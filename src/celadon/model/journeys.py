"""A journey: a scripted user path, asked of one address."""

from enum import StrEnum

from msgspec import Struct

Scalar = str | int | float | bool


class CaptureKind(StrEnum):
    JSON = "json"
    HEADER = "header"
    BODY = "body"


class BodyKind(StrEnum):
    TEXT = "body"
    JSON = "json"
    FORM = "form"

    @property
    def content_type(self) -> str:
        match self:
            case BodyKind.TEXT:
                return "text/plain; charset=utf-8"
            case BodyKind.JSON:
                return "application/json"
            case BodyKind.FORM:
                return "application/x-www-form-urlencoded"


class Capture(Struct, frozen=True, kw_only=True):
    """What a step's answer gives to the steps after it as `{name}`. `where` is a dotted path into the JSON body, the
    name of a header, or a regular expression over the body, whose first group it is (or its whole, without groups)."""

    name: str
    kind: CaptureKind
    where: str


class Expectation(Struct, frozen=True, kw_only=True):
    """What an answer must be. `json` maps dotted paths to what must stand there; `headers` names to what their value
    must contain."""

    statuses: tuple[int, ...] = (200,)
    headers: dict[str, str] = {}
    body_contains: tuple[str, ...] = ()
    json: dict[str, Scalar] = {}
    max_latency_s: float | None = None


class JourneyStep(Struct, frozen=True, kw_only=True):
    """One request. Texts may hold `{name}` of an earlier capture, and `{run}`, which no other run has. What is
    put into `body` is escaped as its kind needs."""

    method: str = "GET"
    path: str
    headers: dict[str, str] = {}
    body: str = ""
    body_kind: BodyKind = BodyKind.TEXT
    captures: tuple[Capture, ...] = ()
    expect: Expectation = Expectation()


class Journey(Struct, frozen=True, kw_only=True):
    """Steps, or a shell `command` in their place; `timeout_s` is for the whole. In the window a run begins every
    `every_s`, or as soon as a slower one has ended."""

    name: str
    steps: tuple[JourneyStep, ...] = ()
    command: str = ""
    timeout_s: float = 10.0
    every_s: float = 1.0
