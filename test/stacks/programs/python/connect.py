"""Judges servers as an application on Python's ssl module would (asyncpg, for example)."""

import json
import socket
import ssl
import sys

STARTUP = b"\0\0\0\x1f\0\3\0\0user\0app\0database\0app\0\0"


def login(conn):
    conn.sendall(STARTUP)
    if not conn.recv(1):
        raise OSError("closed")


def connect(port, ca, name):
    with socket.create_connection(("127.0.0.1", port), timeout=8) as plain:
        if ca == "-":
            return login(plain)
        context = ssl.create_default_context(cafile=ca)
        plain.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
        plain.recv(1)
        with context.wrap_socket(plain, server_hostname=name) as secured:
            login(secured)


for line in sys.stdin:
    job, port, ca, name = line.split()
    try:
        connect(int(port), ca, name)
        print(job, "connects", '""', sep="\t", flush=True)
    except Exception as err:  # whatever an application would see
        print(job, "fails", json.dumps(f"{type(err).__name__}: {err}"), sep="\t", flush=True)
