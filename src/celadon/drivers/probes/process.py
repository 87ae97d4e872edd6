"""What the user's own command says of another process of the app: is it idle, does it live, how long is its queue."""

from pathlib import Path

from msgspec.structs import replace

from celadon.contracts.asking import AskProcess
from celadon.host.environment import USUAL_PATH, read_env
from celadon.host.layout import Layout
from celadon.host.shell import TIMED_OUT, Ran, run_shell
from celadon.model.names import Slot
from celadon.model.observed import Answer


def make_ask_process(layout: Layout, *, user: str | None) -> AskProcess:
    """`user` is the app's."""

    def ask(process: str, slot: Slot, command: str, *, tree: Path, timeout_s: float) -> Answer:
        variables = read_env(replace(layout, process=process).slot(slot) / "env")
        try:
            ran = run_shell(
                command,
                cwd=tree,
                env={"PATH": USUAL_PATH, **variables},
                user=user,
                timeout_s=timeout_s,
                leaves_nothing=True,
            )
        except OSError as error:
            return Answer(ok=False, latency_ms=0.0, reason=str(error))
        tail = ran.output_tail
        why = "" if ran.exit_code == 0 else _describe_no(ran, timeout_s=timeout_s)
        return Answer(
            ok=not why, latency_ms=ran.duration_s * 1000, head=tail[-1] if tail else "", reason=why, output_tail=tail
        )

    return ask


def _describe_no(ran: Ran, *, timeout_s: float) -> str:
    said = f": {ran.output_tail[-1]}" if ran.output_tail else ""
    return (f"not done within {timeout_s:g} s" if ran.exit_code == TIMED_OUT else f"exit code {ran.exit_code}") + said
