"""The sites that a HAProxy serves: frontends, what they choose by, and the server behind each.

A host or a path is told only where an ACL says it plainly; whatever else chooses a backend is told in its own words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.haproxy_config import Line, Section, find_admin, list_files, read_config
from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from celadon.drivers.proxies.haproxy_servers import judge_backend
from celadon.drivers.proxies.haproxy_text import LOG_FORMAT
from celadon.host.commands import run_command
from celadon.model.errors import StepError

_TIMEOUT_S = 30.0
_HOST = re.compile(r"(?:req\.)?hdr\(host\)|req\.hdr\(host\),.*|hdr_dom\(host\)|ssl_fc_sni", re.IGNORECASE)
_PATH = re.compile(r"path_beg|path_dir|path")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\Z")
_MATCHES = frozenset({"str", "beg", "dir", "dom"})
_FORMATS = (("option", "httplog"), ("option", "httpslog"))
_HTTP, _HTTPS = "80", "443"


class HaproxySites:
    """Implements contracts.adoption.SiteFinder."""

    def __init__(self, config: Path, binary: str) -> None:
        self._config = config
        self._binary = binary

    def find_sites(self) -> Sequence[FoundSite]:
        files = list_loaded(self._config)
        judged = run_command(
            [self._binary, "-c", *(word for file in files for word in ("-f", str(file)))], timeout_s=_TIMEOUT_S
        )
        if not judged.ok:
            from celadon.drivers.proxies.haproxy_files import last_words

            raise StepError(last_words(judged), code="proxy_config_refused", next_command="celadon check")
        return list(find_sites(read_config(files)))


def list_loaded(config: Path) -> list[Path]:
    """The files of the HAProxy that runs with `config`, else that file alone."""
    try:
        process = HaproxyProcess(find_admin(read_config(list_files([config]))))
    except OSError as error:
        raise StepError(
            f"{config}: {error.strerror}", code="proxy_config_refused", next_command="celadon check"
        ) from error
    places = process.read_places()
    return list_files(places if config in places else [config])


def find_sites(sections: Sequence[Section]) -> Iterator[FoundSite]:
    backends = {each.name: each for each in sections if each.kind in {"backend", "listen"}}
    for section in sections:
        if section.kind == "listen" and section.find("bind") and section.find("server"):
            yield _judge(section, section.head, section.name, {section.name: section}, condition=())
        elif section.kind in {"frontend", "listen"}:
            for line in section.lines:
                if line.words[0] in {"use_backend", "default_backend"} and len(line.words) > 1:
                    yield _judge(section, line, line.words[1], backends, condition=line.words[2:])


def has_format(section: Section) -> bool:
    """Whether its log lines are ones that we read."""
    written = section.last("log-format")
    if written is not None:
        return written.words[1:] == (LOG_FORMAT,)
    return any(section.last(*words) is not None for words in _FORMATS)


def _judge(
    section: Section, line: Line, name: str, backends: Mapping[str, Section], *, condition: Sequence[str]
) -> FoundSite:
    names, path, unread = _read_condition(section, condition)
    tls, listen = _read_bind(section)
    host = names[0] if names else listen.rpartition(":")[0]
    port = listen.rpartition(":")[2]
    shown = host if port == (_HTTPS if tls else _HTTP) else f"{host}:{port}"
    upstream, reason = None, ""
    if name not in backends:
        reason = f"`{' '.join(line.words)}` chooses a backend when the request comes"
    else:
        _, upstream, reason = judge_backend(backends[name])
    mode = section.last("mode")
    if mode is None or mode.words[1:2] != ("http",):
        reason = f"{section.kind} {section.name} is not in mode http"
    elif not reason and section.last("log-format") is not None and not has_format(section):
        reason = f"{section.kind} {section.name} has a log-format of its own, in which the slot cannot be found"
    elif not reason and unread:
        reason = f"`{unread}` is a condition that is not understood"
    return FoundSite(
        where=line.where,
        names=names,
        site=f"{'https' if tls else 'http'}://{shown}",
        listen=listen,
        path=path,
        upstream=upstream,
        reason=reason,
        by_hand=_tell_by_hand(line, section) if reason else "",
    )


def _tell_by_hand(line: Line, section: Section) -> str:
    """With the app's name left open: nobody has given it yet."""
    words = ["default_backend"] if line.words[0] not in {"use_backend", "default_backend"} else [line.words[0]]
    rest = line.words[2:] if line.words[0] == "use_backend" else ()
    return f"in {section.kind} {section.name}: {' '.join([*words, 'celadon_<app>', *rest])}"


def _read_bind(section: Section) -> tuple[bool, str]:
    """Whether it takes TLS, and where: of several the TLS one, since visitors are sent there."""
    binds = [line for line in section.find("bind") if len(line.words) > 1]
    chosen = next((line for line in binds if "ssl" in line.words), binds[0] if binds else None)
    if chosen is None:
        return False, "127.0.0.1:80"
    first = chosen.words[1].partition(",")[0]
    host, _, port = first.rpartition(":")
    host = host.removeprefix("ipv4@").removeprefix("ipv6@")
    if host in {"", "*", "0.0.0.0"}:  # noqa: S104 - what the user's line says
        host = "127.0.0.1"
    elif ":" in host or host.startswith("["):
        bare = host.strip("[]")
        host = "127.0.0.1" if bare == "::" and "v4v6" in chosen.words else f"[{'::1' if bare == '::' else bare}]"
    return "ssl" in chosen.words, f"{host}:{port if port.isdigit() else '80'}"


def _read_condition(section: Section, words: Sequence[str]) -> tuple[tuple[str, ...], str, str]:
    """Hosts, path, and the first word that was not understood."""
    names: list[str] = []
    path, unread = "/", ""
    for test in _list_tests(section, words):
        what, values = test[0] if test else "", [word for word in test[1:] if word != "-i"]
        if values[:1] == ["-m"] and values[1:2] and values[1] in _MATCHES:
            values = values[2:]
        if _HOST.match(what) and values and all(map(_NAME.match, values)):
            names += values
        elif _PATH.match(what) and values and all(value.startswith("/") for value in values):
            path = values[0]
        else:
            unread = unread or " ".join(test)
    return tuple(dict.fromkeys(names)), path, unread


def _list_tests(section: Section, words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Each named ACL's own lines, each test in braces."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "{" and "}" in rest:
            end = rest.index("}")
            yield rest[:end]
            rest = rest[end + 1 :]
        elif word not in {"if", "or", "||", "unless"}:
            lines = section.find("acl", word)
            yield from [line.words[2:] for line in lines] or [(word,)]
        elif word == "unless":
            yield (word,)
