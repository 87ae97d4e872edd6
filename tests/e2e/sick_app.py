"""The shop, `shop.py` beside this file, with what the file BROKEN says is wrong with it."""

import os
import resource
import runpy
import signal
import socket
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
SICK = (HERE / "BROKEN").read_text().strip() if (HERE / "BROKEN").exists() else ""
DATA = Path(os.environ.get("SHOP_DATABASE", HERE / "data" / "shop.db")).parent
MEMORY_BYTES = 200 << 20


def never_listen() -> None:
    time.sleep(600)


def never_answer() -> None:
    listener = socket.create_server((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])))
    time.sleep(600)
    listener.close()


def flap() -> None:
    threading.Timer(0.15, os._exit, (1,)).start()


def eat_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    eaten = bytearray()
    while True:
        eaten += bytes(1 << 20)


def daemonise() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()


def be_stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal = lambda *_: None  # the shop's own handler is not taken


def take_the_other_port() -> None:
    os.environ["PORT"] = (DATA / "other_port").read_text()


def die_when_told() -> None:
    def watch() -> None:
        while not (DATA / "die").exists():
            time.sleep(0.01)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    if SICK in SICKNESSES:
        SICKNESSES[SICK]()
    runpy.run_path(str(HERE / "shop.py"), run_name="__main__")


SICKNESSES = {
    "silent": never_listen,
    "mute": never_answer,
    "flaps": flap,
    "memory": eat_memory,
    "daemon": daemonise,
    "stubborn": be_stubborn,
    "thief": take_the_other_port,
    "mortal": die_when_told,
}
"""By what BROKEN says; what is not here is the shop's own."""

if __name__ == "__main__":
    main()
