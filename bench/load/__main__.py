"""`python -m bench.load`: run load until the stop file appears, the seconds are over, or the requests are made; then
write the tally. A file beside the tally holds the number of requests so far."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from bench.load.client import Load


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--address", required=True, help="host:port of the proxy")
    parser.add_argument("--site", required=True, help="the Host header")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--requests", type=int, default=0, help="stop after so many; 0: never")
    parser.add_argument("--think-ms", type=float, default=2.0, help="between the requests of a client")
    parser.add_argument("--addresses", type=int, default=0, help="of one-shot requests; 0: the own one")
    parser.add_argument("--stop-file", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    for kind, count in (("keepalive", 8), ("oneshot", 4), ("posts", 4), ("websockets", 2), ("streams", 1)):
        parser.add_argument(f"--{kind}", type=int, default=count)
    return parser.parse_args(words)


async def run(options: argparse.Namespace) -> int:
    host, _, port = options.address.rpartition(":")
    load = Load(
        host,
        int(port),
        site=options.site,
        think_s=options.think_ms / 1000,
        limit=options.requests,
        addresses_count=options.addresses,
    )
    asyncio.get_running_loop().call_later(options.seconds, load.stop.set)
    watcher = asyncio.create_task(_watch(options, load))
    tally = await load.run(
        keepalive=options.keepalive,
        oneshot=options.oneshot,
        posts=options.posts,
        websockets=options.websockets,
        streams=options.streams,
    )
    watcher.cancel()
    temporary = options.output.with_suffix(".partial")
    temporary.write_text(json.dumps(tally.as_dict()))
    temporary.rename(options.output)
    return 0


async def _watch(options: argparse.Namespace, load: Load) -> None:
    progress = options.output.with_name("progress")
    while not options.stop_file.exists():  # another process tells, by a file
        progress.write_text(str(load.tally.requests))
        await asyncio.sleep(0.02)
    load.stop.set()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse_arguments(sys.argv[1:]))))
