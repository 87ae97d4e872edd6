"""What HAProxy loads for one app, and where our text stands in it.

HAProxy has no include. So the text is a file of ours in a directory that is a further `-f`; or, where the site was
adopted, it stands in the user's own file between marked lines: a running master keeps the command line that it was
started with, a reload included, and a further `-f` would need a restart, which closes the listening sockets.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.accepted import merge_accepted
from celadon.drivers.proxies.edited import SUBJECT, find_edits, mask
from celadon.drivers.proxies.haproxy_config import Section, find_admin, list_files, read_config, split_words
from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from celadon.drivers.proxies.haproxy_regions import has_regions, refresh_regions
from celadon.drivers.proxies.haproxy_servers import parse_kept
from celadon.drivers.proxies.haproxy_text import (
    KEY,
    UNSET,
    make_text,
    render_file,
    render_generation,
    render_lines,
    render_ring,
)
from celadon.drivers.proxies.sealed import is_sealed, seal
from celadon.host.commands import Completed, run_command
from celadon.host.files import read_text
from celadon.host.layout import Layout
from celadon.host.text import render_diff
from celadon.model.errors import StepError
from celadon.model.observed import Finding, FindingLevel
from celadon.model.settings import Settings

_JUDGE_TIMEOUT_S = 30.0


class HaproxyFiles:
    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._proxy = settings.proxy
        self._text = make_text(layout, settings)
        self.main = Path(settings.proxy.config)
        self.directory = Path(settings.proxy.directory)
        self.own = self.directory / f"{settings.app}.cfg"
        self.copy = self.directory / f"{settings.app}.adopted"
        self.process = HaproxyProcess(self._find_admin())

    def generation(self) -> str:
        return render_generation(self._text)

    def _find_admin(self) -> str:
        """Empty where neither the settings nor the configuration name a runtime socket."""
        if self._proxy.admin is not None:
            return self._proxy.admin.removeprefix("unix@").removeprefix("unix/")
        try:
            return find_admin(read_config(self.list_configured()))
        except OSError:
            return ""

    def list_configured(self) -> list[Path]:
        return list_files([self.main, self.directory] if self.directory.is_dir() else [self.main])

    def list_loaded(self) -> list[Path]:
        """What the running process was told to load, as it would load it now; what is configured where none runs."""
        places = self.process.read_places()
        return list_files(places) if places else self.list_configured()

    def is_loaded(self) -> bool:
        """Whether the running process would load our own file."""
        places = self.process.read_places() or [self.main, self.directory]
        return self.own in places or self.directory in places

    def read_sections(self) -> list[Section]:
        """Raises OSError."""
        return read_config(self.list_loaded())

    def render(self) -> dict[Path, str]:
        """Our file; or the files of the user's that hold our lines, with those renewed."""
        holding = self.find_holding()
        if holding:
            ring = render_ring(self._text.app)
            return {
                path: refresh_regions(text, app=self._text.app, lines=self.render_for, ring=ring)
                for path, text in holding.items()
            }
        return self.render_owned()

    def render_owned(self) -> dict[Path, str]:
        """The file that is ours alone. Where our lines stand in a file of the user's it is a copy of them, which
        HAProxy does not load: for the record of what we wrote."""
        if not self.find_holding():
            return {self.own: merge_accepted(self._layout, self.own, render_file(self._text))}
        body = f"{render_ring(self._text.app)}\n{render_lines(self._text)}"
        return {self.copy: seal(body, app=self._text.app)}

    def render_for(self, was: str) -> str:
        """The lines that take the place of a server's line, with what of it they keep."""
        return render_lines(replace(self._text, extra=parse_kept(split_words(was))))

    def find_holding(self) -> dict[Path, str]:
        """The user's files in which our lines stand."""
        texts = {path: read_text(path) for path in self.list_loaded() if path != self.own}
        return {path: text for path, text in texts.items() if text and has_regions(text, app=self._text.app)}

    def find_edited(self, rendered: Mapping[Path, str]) -> list[Path]:
        """Ours that were changed by hand."""
        holding = self.find_holding()
        if holding:
            return [path for path, text in rendered.items() if not _is_unedited(holding[path], app=self._text.app)]
        return [path for path in rendered if (present := read_text(path)) and not is_sealed(present)]

    def list_edits(self, rendered: Mapping[Path, str]) -> list[Finding]:
        """As findings. What stands in a file of the user's is not for `proxy accept`: it is not ours as a whole."""
        edited = {path: rendered[path] for path in self.find_edited(rendered)}
        files = [RenderedFile(path=path, text=text) for path, text in edited.items() if path == self.own]
        found = list(find_edits(self._layout, files))
        for path, text in edited.items():
            if path != self.own:
                difference = mask(self._layout, render_diff(path, read_text(path) or "", text))
                told = f"{path} was edited by hand within our lines; celadon would write:\n{difference}"
                fix = f"undo it in {path}"
                found.append(Finding(level=FindingLevel.PROBLEM, subject=SUBJECT, text=told, fix=fix))
        return found

    def refuse_edits(self, rendered: Mapping[Path, str]) -> None:
        """Before anything is put in place. Raises StepError."""
        found = self.list_edits(rendered)
        if found:
            told = "\n".join(finding.text for finding in found)
            raise StepError(told, code="proxy_hand_edited", next_command=found[0].fix)

    def judge(self, instead: Mapping[Path, str | None]) -> Completed:
        """HAProxy's own checker, on copies of the files that it loads with `instead` in their places, in its order,
        from where it was started. 30 ms."""
        files = self.list_loaded()
        files += [path for path in instead if path not in files]
        files = [path for path in files if instead.get(path, "") is not None]
        with tempfile.TemporaryDirectory(prefix="celadon-") as scratch:
            argv = [self._proxy.binary, "-c"]
            for index, path in enumerate(files):
                copy = Path(scratch) / f"{index:03}-{path.name}"
                text = instead.get(path) or (read_text(path) or "" if path not in instead else "")
                copy.write_text(self._fill_missing(text, Path(scratch)), errors="surrogateescape")
                argv += ["-f", str(copy)]
            done = run_command(
                argv, timeout_s=_JUDGE_TIMEOUT_S, cwd=self.main.parent, env=self.process.read_environment()
            )
        said = done.stderr
        for index, path in enumerate(files):
            said = said.replace(str(Path(scratch) / f"{index:03}-{path.name}"), str(path))
        return Completed(argv=done.argv, exit_code=done.exit_code, stdout=done.stdout, stderr=said)

    def _fill_missing(self, text: str, scratch: Path) -> str:
        """Until the first install the files that our text names are not there: stand-ins are judged."""
        for path in (self._text.map, self._text.look_mark, self._text.preview):
            if path is not None and not path.exists():
                stand_in = scratch / path.name
                stand_in.write_text(f"{KEY} {UNSET}\n")
                text = text.replace(str(path), str(stand_in))
        return text


def last_words(done: Completed) -> str:
    """HAProxy's alerts, without what it says of itself."""
    alerts = [line.partition(" : ")[2] for line in done.output.splitlines() if line.startswith("[ALERT]")]
    told = [alert.removeprefix("config : ") for alert in alerts if "rror(s) found" not in alert]
    told = [alert for alert in told if not alert.startswith("Fatal errors found")]
    return told[0].strip() if told else done.output.strip() or f"exit code {done.exit_code}"


def _is_unedited(text: str, *, app: str) -> bool:
    from celadon.drivers.proxies.haproxy_regions import are_sealed

    return are_sealed(text, app=app)
