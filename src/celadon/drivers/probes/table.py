"""The kinds of question, by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from celadon.contracts.probe import Probe
from celadon.drivers.probes.command import CommandProbe
from celadon.drivers.probes.http import HttpProbe
from celadon.drivers.probes.tcp import TcpProbe
from celadon.model.settings import ProbeKind, Settings

_Env = Callable[[], Mapping[str, str]]

PROBES: Mapping[ProbeKind, Callable[[Settings, _Env], Probe]] = MappingProxyType(
    {
        ProbeKind.HTTP: lambda settings, _: HttpProbe(settings=settings.readiness, site=settings.proxy.site),
        ProbeKind.TCP: lambda _, __: TcpProbe(),
        ProbeKind.COMMAND: lambda settings, env: CommandProbe(settings.readiness.command or "false", env),
    }
)


def make_probe(settings: Settings, *, env: _Env) -> Probe:
    """`env` gives the candidate's variables at the moment of asking."""
    return PROBES[settings.readiness.kind](settings, env)
