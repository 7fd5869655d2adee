"""Publishes messages to ThrustMQ and prints their acks. Standard library only.

    python3 producer.py                          # five messages to bucket 1
    python3 producer.py --bucket 7 "hello"       # one message of your own
    python3 producer.py --count 100000 --batch 1000 --size 100

In a program:  from producer import Producer
               with Producer() as producer:
                   producer.send(7, [b"hello", b"world"])   # [True, True]
"""

import argparse
import os
import socket
import struct
import sys
import time

UNREACHABLE = 69  # EX_UNAVAILABLE of sysexits.h


def connect(hosts, port, timeout):
    """Connects to the first of "host,host:port,[::1]:port" that is there; any node takes any client."""
    failed = OSError("no host is given")
    for host in hosts.split(",") if isinstance(hosts, str) else hosts:
        name, _, own = host.strip().rpartition(":")
        if not (name and own.isdigit()) or ":" in name and not name.endswith("]"):
            name, own = host.strip(), port  # it says no port
        try:
            return socket.create_connection((name.strip("[]"), int(own)), timeout)
        except OSError as error:
            failed = error
    raise failed


class Producer:
    """One connection. wire='u32' speaks to listeners that use 4-byte lengths.

    `host` may be several nodes, a list or "a,b:1889": the first that is there is taken.
    """

    def __init__(self, host="127.0.0.1", port=1888, wire="u64", timeout=30.0):
        self._head = struct.Struct("<QQ" if wire == "u64" else "<QI")
        self._socket = connect(host, port, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, bucket, bodies):
        """Publishes one batch; True for each message that is on disk, False for each refused."""
        if not bodies:
            return []  # a batch of 0 would be the goodbye
        parts = [struct.pack("<I", len(bodies))]
        for body in bodies:
            parts += self._head.pack(bucket, len(body)), body
        self._socket.sendall(b"".join(parts))
        acks = b""
        while len(acks) < len(bodies):
            chunk = self._socket.recv(len(bodies) - len(acks))
            if not chunk:
                raise ConnectionError("the broker closed the connection before it had acked")
            acks += chunk
        return [ack == 1 for ack in acks]

    def close(self):
        try:
            self._socket.sendall(struct.pack("<I", 0))
        except OSError:
            pass  # it is gone already
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def say(text, stream):
    """What is stored does not depend on who reads it: an output that fails is left alone."""
    try:
        if stream is not None:  # it is None where a service closed it
            print(text, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main():
    parser = argparse.ArgumentParser(description="Publish messages to ThrustMQ.")
    parser.add_argument("--host", default="127.0.0.1", help="several nodes: a,b,c:1889")
    parser.add_argument("--port", type=int, default=1888)
    parser.add_argument("--wire", choices=("u64", "u32"), default="u64")
    parser.add_argument("--bucket", type=int, default=1)
    parser.add_argument("--count", type=int, help="messages to send (1 with a body, else 5)")
    parser.add_argument("--batch", type=int, default=100, help="messages in one batch")
    parser.add_argument("--size", type=int, help="pad or cut each body to so many bytes")
    parser.add_argument("body", nargs="?")
    args = parser.parse_args()
    if not (0 <= args.bucket < 2**64 and 1 <= args.batch <= 65536):
        parser.error("--bucket is 0 to 2^64-1, --batch is 1 to 65536")
    count = args.count if args.count is not None else 1 if args.body else 5
    stored, refused, started = 0, 0, time.monotonic()
    try:
        with Producer(args.host, args.port, args.wire) as producer:
            for first in range(0, count, args.batch):
                numbers = range(first, min(first + args.batch, count))
                bodies = [os.fsencode(args.body or f"message {n}") for n in numbers]
                if args.size is not None:
                    bodies = [body[: args.size].ljust(args.size, b".") for body in bodies]
                acks = producer.send(args.bucket, bodies)
                stored, refused = stored + sum(acks), refused + acks.count(False)
                shown = " ".join(str(int(ack)) for ack in acks) if count <= 20 else f"{stored} of {count}"
                say(f"acks {shown}", sys.stdout)
    except OSError as error:
        say(f"broker at {args.host}:{args.port}: {error}", sys.stderr)
        say(f"{stored} messages were acked; is `npm start` running?", sys.stderr)
        sys.exit(UNREACHABLE)
    except KeyboardInterrupt:
        pass
    seconds = time.monotonic() - started
    rate = stored / max(seconds, 1e-9)
    say(f"{stored} stored, {refused} refused, {rate:.0f} messages/s", sys.stdout)
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
