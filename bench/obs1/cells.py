"""What is run: one cell is one kind of traffic, one site, one release."""

from msgspec import Struct

WINDOW_S = 600
RATES = (0.001, 0.01, 0.05, 0.5, 5.0, 50.0, 500.0)
BASE_RATES = (0.0001, 0.001, 0.01)
LATE_S = 300
SAMPLE_COUNT = 2_000
_YOUNG = (0.5, 5.0)


class Ambient(Struct, frozen=True, kw_only=True):
    """A shared dependency fails so many requests of both slots. Probes ask other things than visitors do: `probes` is
    their share. While it lasts both slots are `slower`."""

    share: float = 0.1
    probes: float = 0.1
    slower: float = 1.0
    from_s: int = 200
    for_s: int = 120

    def lasts_at(self, second: int) -> bool:
        return self.from_s < second <= self.from_s + self.for_s


class Cell(Struct, frozen=True, kw_only=True):
    """`rate`: requests a second; `p_b`, `p_g`: the true bad rates of the old slot and of the candidate. The candidate's
    fault begins at `from_s`. `slower` multiplies what the candidate takes, `stalls` of its requests take a second
    more, `cold` of its first ones take three times as long. `max_error_rate` is what the site's owner has set. The
    baseline is of `baseline_s`, as long as is asked for where that is None."""

    name: str
    rate: float
    p_b: float = 0.001
    p_g: float = 0.001
    from_s: int = 0
    bursty: bool = False
    bot: bool = False
    ambient: Ambient | None = None
    journeys_a_second: int = 0
    control_a_second: int = 5
    slower: float = 1.0
    stalls: float = 0.01
    cold: int = 0
    max_error_rate: float | None = None
    baseline_s: float | None = None
    runs_count: int = 0


def list_innocent() -> list[Cell]:
    """The release is as good as the one before, or within what is tolerated."""
    cells = []
    for rate in RATES:
        for p_b in BASE_RATES:
            cells.append(Cell(name="innocent", rate=rate, p_b=p_b, p_g=p_b))
            cells.append(Cell(name="twice as bad", rate=rate, p_b=p_b, p_g=2 * p_b))
            cells.append(Cell(name="bursty", rate=rate, p_b=p_b, p_g=p_b, bursty=True))
            cells.append(Cell(name="bursty and bot", rate=rate, p_b=p_b, p_g=p_b, bursty=True, bot=True))
            cells.append(Cell(name="ambient", rate=rate, p_b=p_b, p_g=p_b, ambient=Ambient()))
    for p_b in (*BASE_RATES, 0.05):
        cells += [Cell(name="innocent, a minute known", rate=rate, p_b=p_b, p_g=p_b, baseline_s=60) for rate in _YOUNG]
    for rate in (0.5, 5.0, 50.0, 500.0):
        cells.append(Cell(name="ambient, probes see less", rate=rate, ambient=Ambient(probes=0.06)))
        cells.append(Cell(name="ambient, half fails", rate=rate, ambient=Ambient(share=0.5, probes=0.5)))
        cells.append(Cell(name="ambient, all fails", rate=rate, ambient=Ambient(share=1.0, probes=1.0)))
        cells.append(Cell(name="ambient, 1 % allowed", rate=rate, ambient=Ambient(), max_error_rate=0.01))
        cells.append(Cell(name="ambient, 5 % allowed", rate=rate, ambient=Ambient(), max_error_rate=0.05))
        cells.append(Cell(name="innocent, 1 % allowed", rate=rate, max_error_rate=0.01))
        cells.append(Cell(name="ambient, 1 journey/s", rate=rate, ambient=Ambient(), journeys_a_second=1))
    return cells


def list_faulty() -> list[Cell]:
    cells = []
    for rate in RATES:
        for p_b in BASE_RATES:
            for name, p_g in (("ten times as bad", 10 * p_b), ("5 %", 0.05), ("20 %", 0.2), ("outage", 1.0)):
                cells.append(Cell(name=name, rate=rate, p_b=p_b, p_g=p_g))
            cells.append(Cell(name="late 50 %", rate=rate, p_b=p_b, p_g=0.5, from_s=LATE_S))
    for rate in (0.0, 0.001, 0.05, 0.5, 5.0):
        cells.append(Cell(name="outage, 1 journey/s", rate=rate, p_g=1.0, journeys_a_second=1))
        cells.append(Cell(name="20 %, 1 journey/s", rate=rate, p_g=0.2, journeys_a_second=1))
    cells += [
        Cell(name="3 %, 1 % allowed", rate=rate, p_b=0.005, p_g=0.03, max_error_rate=0.01)
        for rate in (0.5, 5.0, 50.0, 500.0)
    ]
    cells += [Cell(name="20 %, a minute known", rate=rate, p_g=0.2, baseline_s=60) for rate in _YOUNG]
    return [*cells, *(Cell(name="20 % and bot", rate=rate, p_g=0.2, bot=True) for rate in (0.05, 0.5, 5.0))]


def list_idle() -> list[Cell]:
    return [
        Cell(name="no traffic", rate=0.0, p_g=1.0),
        Cell(name="journeys only", rate=0.0, p_b=0.0, p_g=0.0, journeys_a_second=1),
    ]


def list_slow() -> list[Cell]:
    cells = []
    for rate in (0.5, 5.0, 50.0, 500.0):
        cells += [Cell(name=f"latency ×{slower:g}", rate=rate, slower=slower) for slower in (1.2, 1.5, 2.0, 3.0)]
        cells.append(Cell(name="5 % take 1 s more", rate=rate, stalls=0.05))
        cells.append(Cell(name="first 150 are cold", rate=rate, cold=150))
        shared = Ambient(share=0.0, probes=0.0, slower=3.0)
        cells.append(Cell(name="ambient, both ×3 slower", rate=rate, ambient=shared))
        cells.append(Cell(name="late, ×3 slower", rate=rate, slower=3.0, from_s=LATE_S))
    return cells


def list_cells() -> list[Cell]:
    return [*list_innocent(), *list_faulty(), *list_idle(), *list_slow()]
