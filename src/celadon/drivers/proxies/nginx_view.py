"""What nginx routes to: what it answers, beside what the route's own file and the pointer say."""

from collections.abc import Sequence

from celadon.drivers.proxies.look import Sight
from celadon.drivers.proxies.nginx_files import RouteFiles
from celadon.drivers.proxies.nginx_look import NginxLooks
from celadon.drivers.proxies.nginx_marks import slots_at
from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.host.layout import Layout
from celadon.host.pointer import read_pointer, read_split
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, RouteView, Split


def observe_route(layout: Layout, *, files: RouteFiles, looks: NginxLooks, process: NginxProcess) -> RouteView:
    """Looks once, or once on either side of where a share begins. A pointer that moves meanwhile is looked at again."""
    while True:
        named = _read_named(layout, files)
        view = _observe(layout, files=files, looks=looks, process=process)
        if _read_named(layout, files) == named:
            return view


def _read_named(layout: Layout, files: RouteFiles) -> tuple[Slot | None, Slot | None, Split | None]:
    return files.read_route(), read_pointer(layout.pointer), read_split(layout.pointer)


def _observe(layout: Layout, *, files: RouteFiles, looks: NginxLooks, process: NginxProcess) -> RouteView:
    route, pointed, split = _read_named(layout, files)
    lingering_count = process.count_lingering()
    expected = _expected(route, split) if files.shares() or split else [("", route)]
    sights = [looks.look(bucket=bucket) for bucket, _ in expected]
    detail = sights[0].detail
    if any(sight.worker is None for sight in sights):
        detail = next(sight.detail for sight in sights if sight.worker is None)
        return RouteView(slot=route, seen=False, split=split, lingering_count=lingering_count, detail=detail)
    if route is None:
        unset = None if files.names_route_in_pointer else sights[0].slot
        return RouteView(slot=unset, seen=True, lingering_count=lingering_count, detail=detail)
    agreed = all(sight.slot is slot for sight, (_, slot) in zip(sights, expected, strict=True))
    return RouteView(
        slot=route if agreed else sights[-1].slot,
        seen=True,
        split=split if agreed else None,
        lingering_count=lingering_count,
        detail=detail,
        disagreement=_tell(route, pointed, split, expected=expected, sights=sights),
    )


def _expected(route: Slot | None, split: Split | None) -> Sequence[tuple[str, Slot | None]]:
    if split:
        return slots_at(split.slot, split.percent)
    return slots_at(route, WHOLE) if route else [("", None)]


def _tell(
    route: Slot,
    pointed: Slot | None,
    split: Split | None,
    *,
    expected: Sequence[tuple[str, Slot | None]],
    sights: Sequence[Sight],
) -> str:
    named = f"{route}" if split is None else f"{split.percent} % {split.slot} beside {route}"
    wrong = [
        f"{sight.slot or 'no slot'}{f' for bucket {bucket}' if bucket else ''}"
        for sight, (bucket, slot) in zip(sights, expected, strict=True)
        if sight.slot is not slot
    ]
    if wrong:
        return f"the route's file names {named}, but nginx answers from {' and '.join(wrong)}"
    if pointed is not route:
        return f"the pointer names {pointed or 'no slot'}, but nginx answers from {named}"
    return ""
