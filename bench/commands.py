"""What the command costs: a rollback from process start to seen, a deploy's overhead, memory."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.e2e.site import Site, open_site

from bench.installed import link_installed
from bench.tables import render_table, spread
from celadon.host.children import read_children
from celadon.host.lock import AppLock

_MIB = 1024.0


def run(*, rollbacks: int, deploys: int) -> str:
    return "\n".join([_run_rollback(rollbacks), _run_overhead(deploys=10), _run_memory(deploys)])


def _run_rollback(count: int) -> str:
    rows = []
    for proxy in ("nginx", "caddy"):
        with tempfile.TemporaryDirectory() as base, open_site(Path(base), proxy=proxy) as site:
            installed = link_installed(Path(tempfile.mkdtemp(dir=base)))
            _bless_by_hand(site)
            seen = []
            for number in range(count):
                if site.deploy(f"v{number}").code != 20:
                    raise RuntimeError("the deploy did not wait for its bless")
                seen.append(_time_rollback(site, installed))
            bare = [_time_bare() for _ in range(count)]
            rows.append((f"{proxy} pointer", count, spread(seen), spread(bare), f"{median(seen) / median(bare):.1f}"))
    head = ("proxy, way", "runs", "rollback ms", "bare interpreter ms", "multiple")
    return render_table("Rollback while hot: process start to seen, median / max", head, rows)


def _bless_by_hand(site: Site) -> None:
    config = site.app / "celadon.toml"
    config.write_text(config.read_text().replace("[observe]", '[observe]\nbless = "manual"'))


def _time_rollback(site: Site, installed: Path) -> float:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "celadon.cli.main", "rollback", "--json", "-c", str(site.app / "celadon.toml")],
        env=site.variables() | {"PYTHONPATH": str(installed)},
        stdout=subprocess.PIPE,
        text=True,
    )
    seen_ms = 0.0
    for line in process.stdout or ():
        if '"switch_seen"' in line and not seen_ms:
            seen_ms = (time.monotonic() - began) * 1000
    if process.wait() != 0 or not seen_ms:
        raise RuntimeError("the rollback failed")
    return seen_ms


def _time_bare() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.monotonic() - began) * 1000


def _run_overhead(*, deploys: int) -> str:
    with tempfile.TemporaryDirectory() as base, open_site(Path(base)) as site:
        whole, ready_to_switched, bare = [], [], []
        for number in range(deploys):
            site.write_version(f"v{number}")
            began = time.monotonic()
            done = site.celadon("deploy", "--json")
            took_s = time.monotonic() - began
            entries = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
            at = {entry["body"]["event"]: entry["at"] for entry in entries}
            ready_s = next(each["after_s"] for each in done.events("candidate_ready"))
            window_s = next(e["evidence"]["elapsed_s"] for e in done.events("verdict_reached"))
            drain_s = next((e["duration_s"] for e in done.events("slot_stopped")), 0.0)
            bare.append(_time_bare())
            whole.append((took_s - ready_s - window_s - drain_s) * 1000)
            ready_to_switched.append((at["switch_seen"] - at["candidate_ready"]) * 1000)
    rows = [
        (what, deploys, spread(found), f"{median(found) / median(bare):.1f}")
        for what, found in (
            ("a deploy beyond app start, window and drain", whole),
            ("from ready to switched (probe interval 50 ms)", ready_to_switched),
            ("bare interpreter", bare),
        )
    ]
    return render_table("Overhead, ms, median / max", ("what", "runs", "ms", "multiple"), rows)


def _run_memory(deploys: int) -> str:
    with tempfile.TemporaryDirectory() as base, open_site(Path(base)) as site:
        peak_mib = _measure_operation(site)
        before = _proxy_figures(site)
        for number in range(deploys):
            if site.deploy(f"m{number}").code != 0:
                raise RuntimeError("a deploy failed")
        after = _proxy_figures(site)
        journal_mib = site.layout.journal.stat().st_size / _MIB / _MIB
    rows = [
        ("a running operation, peak RSS MiB", f"{peak_mib:.1f}", "45"),
        *((name, f"{before[name]} -> {after[name]}", "flat") for name in before),
        (f"journal after {deploys} deploys, MiB", f"{journal_mib:.2f}", "-"),
    ]
    return render_table(f"Memory, and {deploys} deploys in a row", ("what", "figure", "mark"), rows)


def _measure_operation(site: Site) -> float:
    config = site.app / "celadon.toml"
    short = config.read_text()
    config.write_text(short.replace('window = "400ms"', 'window = "3s"'))
    site.write_version("memory")
    deploying = site.start_celadon("deploy", "--json")
    for line in deploying.stdout or ():
        if "window_sampled" in line:
            break
    holder = AppLock(site.layout.lock).holder()
    status = Path(f"/proc/{holder.pid}/status").read_text() if holder else ""
    deploying.communicate()
    config.write_text(short)
    return next(int(line.split()[1]) / _MIB for line in status.splitlines() if line.startswith("VmHWM"))


def _proxy_figures(site: Site) -> dict[str, int]:
    workers = read_children(site.proxy_pid)
    pids = [site.proxy_pid, *workers]
    return {
        "proxy workers": len(workers),
        "proxy descriptors": sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        "proxy RSS KiB": sum(_rss_kib(pid) for pid in pids),
    }


def _rss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
