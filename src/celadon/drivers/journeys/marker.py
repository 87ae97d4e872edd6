"""What no other run of a journey has, so that what it made can be found and removed."""

import secrets


def new_run() -> str:
    return f"celadon{secrets.token_hex(6)}"
