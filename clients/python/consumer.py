"""Receives messages from ThrustMQ, prints and acks them. Standard library only.

    python3 consumer.py                          # bucket 1, until Ctrl-C
    python3 consumer.py --bucket 7 --count 10

In a program:  from consumer import Consumer, REJECTED, retry
               with Consumer(bucket=7) as consumer:
                   for body in consumer:   # acked when the loop asks for the next one
                       print(body)

or, so that what a handler returns or raises says what becomes of the message:

               with Consumer(bucket=7, batch=1) as consumer:
                   consumer.run(handle, {ValueError: REJECTED, OSError: retry(30)})
"""

import argparse
import math
import os
import socket
import struct
import sys
import traceback

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


# Answers. A broker that is older than the last two, or than `retry`, takes them for FAILED.
DONE = b"\1"
FAILED = b"\0"    # again after the delay of the bucket's rule, without one at once
REJECTED = b"\2"  # dead now: it will never succeed
RELEASED = b"\3"  # again at once, and no attempt is counted
# No answer, but a sign of work that renews a lease; for an older broker it would be one.
WORKING = b"\xff"


def retry(seconds, charge=True):
    """The answer "again after so long", rounded up to a power of two of ms, 24.8 days at most."""
    if not 0 <= seconds <= 2147483.648:
        raise ValueError(f"a delay is 0 to 2147483.648 seconds, not {seconds}")
    exponent = max(0, math.ceil(seconds * 1000) - 1).bit_length()
    return bytes([(0x40 if charge else 0x60) + exponent])


class Consumer:
    """A connection to one bucket. The broker is heard every two seconds; `timeout` is for silence.

    `host` may be several nodes, a list or "a,b:2889": the first that is there is taken.
    """

    def __init__(self, host="127.0.0.1", port=2888, bucket=1, batch=100, wire="u64", timeout=10.0):
        self._length = struct.Struct("<Q" if wire == "u64" else "<I")
        self._socket = connect(host, port, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(struct.pack("<QQI", os.getpid(), bucket, batch))

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            chunk = self._socket.recv(min(size - len(data), 1 << 20))
            if not chunk:
                raise ConnectionError("the broker closed the connection")
            data += chunk
        return bytes(data)

    def receive(self):
        """Waits for the next batch: a list of bodies. Each one then needs its `ack`, in order."""
        while True:
            (count,) = struct.unpack("<I", self._read(4))
            bodies = [self._read(*self._length.unpack(self._read(self._length.size)))
                      for _ in range(count)]
            if bodies != [b""]:
                return bodies
            self.ack()  # a heartbeat

    def ack(self, answer=DONE):
        """Answers the oldest message without an answer; what is true is DONE, what is not FAILED."""
        if not isinstance(answer, bytes):
            answer = DONE if answer else FAILED
        if len(answer) != 1 or answer == WORKING:
            raise ValueError(f"{answer} is no answer")
        self._socket.sendall(answer)

    def working(self):
        """Renews the lease of what was received, where a rule sets one."""
        self._socket.sendall(WORKING)

    def run(self, handler, errors={}):
        """Calls `handler(body)` for each message and answers with what it returns; None is DONE.

        What it raises is answered as `errors` says of its class, with FAILED otherwise.
        """
        while True:
            for body in self.receive():
                self.ack(self._answer(handler, body, errors))

    def _answer(self, handler, body, errors):
        try:
            answer = handler(body)
            return DONE if answer is None else answer
        except Exception as error:
            for kind, answer in errors.items():
                if isinstance(error, kind):
                    return answer
            note(traceback.format_exc().rstrip())
            return FAILED

    def __iter__(self):
        while True:
            for body in self.receive():
                yield body
                self.ack()

    def close(self):
        self._socket.close()  # what was not acked is ready again for other consumers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def show(body):
    """Prints a body; what the output's encoding lacks is escaped. Stops, without an ack, if it cannot."""
    try:
        print(body.decode("utf-8", "backslashreplace"), flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # nobody reads our output any more, as with `head`
            raise KeyboardInterrupt from None
        note(f"cannot write to standard output: {error}")
        sys.exit(1)


def note(text):
    if sys.stderr is not None:  # it is None where a service closed it
        sys.stderr.write(text + "\n")


def main():
    parser = argparse.ArgumentParser(description="Receive messages from ThrustMQ.")
    parser.add_argument("--host", default="127.0.0.1", help="several nodes: a,b,c:2889")
    parser.add_argument("--port", type=int, default=2888)
    parser.add_argument("--wire", choices=("u64", "u32"), default="u64")
    parser.add_argument("--bucket", type=int, default=1)
    parser.add_argument("--batch", type=int, default=100, help="messages to hold without an ack")
    parser.add_argument("--count", type=int, help="stop after so many messages")
    args = parser.parse_args()
    if not (0 <= args.bucket < 2**64 and 1 <= args.batch <= 65536):
        parser.error("--bucket is 0 to 2^64-1, --batch is 1 to 65536")
    if sys.stdout is None:
        note("standard output is closed: messages would be lost")
        sys.exit(1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    received = 0
    try:
        with Consumer(args.host, args.port, args.bucket, args.batch, args.wire) as consumer:
            while args.count is None or received < args.count:
                left = None if args.count is None else args.count - received
                for body in consumer.receive()[:left]:
                    show(body)
                    received += 1
                    consumer.ack()
    except OSError as error:
        note(f"broker at {args.host}:{args.port}: {error}; is `npm start` running?")
        sys.exit(UNREACHABLE)
    except KeyboardInterrupt:
        pass
    note(f"{received} messages received")


if __name__ == "__main__":
    main()
