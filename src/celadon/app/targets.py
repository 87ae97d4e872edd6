"""Which kept release a rollback goes to, and whether it may."""

from celadon.contracts.releases import Releases
from celadon.deploy.ledger import Ledger
from celadon.model.errors import RefusedError, StepError
from celadon.model.names import ReleaseNumber
from celadon.model.release import Fate, Release, Source, SourceKind


def choose_target(
    releases: Releases, ledger: Ledger, *, wanted: ReleaseNumber | None, live: ReleaseNumber | None
) -> Release:
    """`wanted`, or the one blessed before the live one. Raises RefusedError for one that is live, failed, altered or
    gone: traffic is not touched."""
    number = wanted if wanted is not None else _find_previous(releases, ledger, live=live)
    release = _read(releases, number)
    if release.number == live:
        raise RefusedError(f"{release.label} is live already", code="already_live", next_command="celadon releases")
    source = release.manifest.source
    if source.kind is SourceKind.ADOPTED and not source.location:
        raise RefusedError(
            f"{release.label} ran before celadon, and no unit says how it is started",
            code="adopted_not_startable",
            next_command="celadon releases",
        )
    if release.fate is Fate.FAILED:
        raise RefusedError(
            f"{release.label} was rejected or taken back, and is kept for inspection only",
            code="release_failed",
            next_command="celadon releases",
        )
    differing = releases.verify(release)
    if differing is not None:
        raise RefusedError(
            f"{release.label} is not what was built: {differing} differs from its manifest",
            code="release_altered",
            next_command="celadon releases",
        )
    return release


def choose_live(releases: Releases, live: ReleaseNumber | None) -> Release:
    """What is live, to be run once more. Raises RefusedError where it is none of ours or not whole."""
    if live is None:
        raise RefusedError("no release is live", code="not_deployed", next_command="celadon deploy")
    release = _read(releases, live)
    if release.manifest.source.kind is SourceKind.ADOPTED:
        text = f"{release.label} ran before celadon, and not as a release of its own"
        raise RefusedError(text, code="adopted_not_startable", next_command="celadon deploy")
    return release


def source_of_release(release: Release) -> Source:
    """Of one that has its files."""
    origin = release.manifest.source
    return Source(kind=SourceKind.RELEASE, location=release.label, ref=origin.ref, commit=origin.commit)


def _find_previous(releases: Releases, ledger: Ledger, *, live: ReleaseNumber | None) -> ReleaseNumber:
    """The newest blessed release that is not live. Journal first for the order, marks on disk when it is lost."""
    on_disk = set(releases.numbers())
    known = [number for number in ledger.blessed if number in on_disk and number != live]
    if not known:
        kept = (releases.read(number) for number in sorted(on_disk) if number != live)
        known = [release.number for release in kept if release.fate is Fate.BLESSED]
    if not known:
        raise RefusedError(
            "there is no earlier blessed release to go back to",
            code="nothing_to_return_to",
            next_command="celadon releases",
        )
    return known[-1]


def _read(releases: Releases, number: ReleaseNumber) -> Release:
    try:
        return releases.read(number)
    except StepError as error:
        raise RefusedError(error.what, code=error.code, next_command="celadon releases") from error
