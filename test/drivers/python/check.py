"""What the Python programs of the driver matrix share: the account from the environment, and a line of JSON per check."""

import json
import os
import sys
import time

HOST, PORT = os.environ["DRIVER_HOST"], int(os.environ["DRIVER_PORT"])
USER, PASSWORD, DATABASE = (os.environ["DRIVER_" + name] for name in ("USER", "PASSWORD", "DATABASE"))
# Letters beyond ASCII in every name.
OTHER_USER, OTHER_PASSWORD, OTHER_DATABASE = (
    os.environ["DRIVER_OTHER_" + name] for name in ("USER", "PASSWORD", "DATABASE")
)
CA_FILE = os.environ["DRIVER_CA_FILE"]  # empty for a plaintext connection
REFUSAL = os.environ["DRIVER_REFUSAL"]  # the server's words for a wrong password

TEXT = "Grüße, 世界, \U0001F418, e\u0301"
LARGE = "0123456789abcdef" * (8 << 16)  # 8 MB
CHANNEL = f"driver_{os.getpid()}"
NOTICE = "DO $$ BEGIN RAISE NOTICE 'look here'; END $$"
ASLEEP = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = "


class Limit(Exception):
    """The driver cannot do this."""


def write(**line):
    print(json.dumps(line), flush=True)


def version(text):
    write(version=text)


def passed(name, note=None):
    write(check=name, ok=True, note=note or "")


def failed(name, error):
    write(check=name, ok=None if isinstance(error, Limit) else False, note=f"{error}" or type(error).__name__)


def run(*checks):
    """Runs functions that are named after their checks; what one returns is a note."""
    for do in checks:
        name = do.__name__.replace("_", " ")
        try:
            passed(name, do())
        except Exception as error:  # whatever the driver raises is the result
            failed(name, error)


def await_restart():
    write(waiting="restart")
    sys.stdin.readline()


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r:.100}, want {want!r:.100}")


def refused(error):
    if REFUSAL not in str(error):
        raise AssertionError(f"not the server's words: {error}")


def until(done):
    deadline = time.monotonic() + 30
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen within 30 s")
        time.sleep(0.01)
