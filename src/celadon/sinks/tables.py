"""Words for the verbs that list things. Plain text, one line a thing."""

import time
from collections.abc import Sequence

from celadon.model.observed import Finding, FindingLevel
from celadon.model.release import Source, SourceKind
from celadon.model.report import KeptRelease, OperationRecord, Preview, PreviewAccess
from celadon.sinks.phrases import describe_lingering

_SIGNS = {FindingLevel.OK: "ok", FindingLevel.WARNING: "warning", FindingLevel.PROBLEM: "PROBLEM"}


def render_findings(findings: Sequence[Finding]) -> str:
    lines = []
    for found in findings:
        lines.append(f"{_SIGNS[found.level]:8} {found.subject}: {found.text}")
        lines += [f"           {line}" for line in found.fix.splitlines()]
    problems = sum(found.level is FindingLevel.PROBLEM for found in findings)
    lines.append("A deploy would go ahead." if not problems else f"A deploy would be refused: {problems} to mend.")
    return "\n".join(lines)


def render_releases(kept: Sequence[KeptRelease]) -> str:
    if not kept:
        return "No release yet. Next: celadon deploy"
    return "\n".join(_describe_release(release) for release in kept)


def render_history(operations: Sequence[OperationRecord]) -> str:
    if not operations:
        return "Nothing was done yet. Next: celadon deploy"
    return "\n".join(_describe_operation(operation) for operation in operations)


def render_preview(preview: Preview) -> str:
    lines = [
        f"deploy of {preview.app} r{preview.release} from {describe_source(preview.source)}",
        f"  traffic now   {_describe_live(preview)}",
        f"  candidate     {preview.candidate}",
        *(f"  build         {step}" for step in preview.steps),
        *(f"  proxy file    {path} changes" for path in preview.changed_files),
        f"  way back      {_describe_way_back(preview)}",
        *_describe_cut(preview),
        *(f"  REFUSED       {refusal}" for refusal in preview.refusals),
    ]
    return "\n".join(lines)


def render_preview_access(access: PreviewAccess) -> str:
    return "\n".join(
        [
            f"{access.slot or 'no slot'} at {access.site}, for whoever has this; keep it secret",
            f"  header  {access.header}",
            f"  cookie  {access.cookie}",
            f"  curl -H '{access.header}' {access.site}/",
        ]
    )


def describe_source(source: Source) -> str:
    match source.kind:
        case SourceKind.GIT:
            return f"{source.ref} ({(source.commit or '')[:10]})"
        case SourceKind.RELEASE:
            return f"files of {source.location}" + (f" ({source.ref})" if source.ref else "")
        case SourceKind.ADOPTED:
            return f"adopted ({source.location or 'processes without a unit'})"
        case SourceKind.TAR | SourceKind.DIRECTORY:
            return source.location


def _describe_live(preview: Preview) -> str:
    if preview.live is None:
        return "none: this is the first deploy"
    return f"{preview.live}" + (f", r{preview.live_release}" if preview.live_release else "")


def _describe_cut(preview: Preview) -> list[str]:
    found = preview.lingering
    if found is None or not found.streams_count:
        return []
    return [f"  ends          {describe_lingering(found)}; this deploy ends them"]


def _describe_way_back(preview: Preview) -> str:
    if preview.rollback_to is None:
        return "none: there is no earlier release"
    if preview.stops_first:
        return f"r{preview.rollback_to} is stopped first and would have to start again: the site is down meanwhile"
    return f"r{preview.rollback_to} stays hot through the window, then parked"


def _describe_release(release: KeptRelease) -> str:
    marks = [word for word, on in (("live", release.live), ("blessed", release.blessed)) if on]
    source = describe_source(release.source) if release.source else ""
    problem = f"  CANNOT BE USED: {release.problem}" if release.problem else ""
    when = _when(release.built_at) if release.built_at else ""
    return f"r{release.number:<5} {when:19} {release.built_by:12} {', '.join(marks) or '-':14} {source}{problem}"


def _describe_operation(operation: OperationRecord) -> str:
    release = f"r{operation.release}" if operation.release is not None else "-"
    switch = f"  switch {operation.switch_ms:.1f} ms" if operation.switch_ms is not None else ""
    reason = f"  {operation.reason}" if operation.reason else ""
    down = f"  down {operation.down_s:.2f} s" if operation.down_s else ""
    env_only = operation.source is not None and operation.source.kind is SourceKind.RELEASE
    what = f"  {operation.source.location} with a new environment" if operation.source and env_only else ""
    return (
        f"{_when(operation.started_at)}  {operation.kind:8} {release:>5}  {operation.lead:12} "
        f"{operation.outcome or 'open':12} {operation.duration_s:7.1f} s{switch}{down}{what}{reason}"
    )


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
