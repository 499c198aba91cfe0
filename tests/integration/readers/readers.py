"""A thousand clients at once, once slow and once as fast as they can: everybody gets all of it, and little of it lies in
the kernel and in pipes meanwhile.

    tests/long readers [--clients 1000] [--slow-mib 4] [--fast-mib 64] [--workers 2]

A slow client reads 64 KiB and pauses for two seconds, so 4 MiB take two minutes. Prints what was measured, and fails
above the bounds. The server is nginx, told to be patient: its own limit of 60 s is none of the daemon's business.
"""

import argparse
import array
import fcntl
import os
import pathlib
import resource
import selectors
import socket
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "real"))

from harness import Daemon, Nginx, proxy_config  # noqa: E402

MIB = 1 << 20
PIECE_BYTES = 64 * 1024
PAUSE_SECONDS = 2
LOOK_SECONDS = 5
MOST_UNSENT = 300 * MIB
MOST_IN_PIPES = 50 * MIB
DEADLINE_SECONDS = 900


class Client:
    """Downloads the file, and counts what comes behind the head."""

    def __init__(self, port, target):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        self.socket.setblocking(False)
        self.head = b""
        self.body_bytes = 0
        self.next = time.monotonic()
        self.failure = None

    def read(self, most):
        """False when nothing comes any more. What is behind the head is thrown away in the kernel."""
        while most > 0:
            try:
                if b"\r\n\r\n" not in self.head:
                    got = self.socket.recv(4096)
                    self.head += got
                    if b"\r\n\r\n" in self.head:
                        self.body_bytes = len(self.head.split(b"\r\n\r\n", 1)[1])
                    size = len(got)
                else:
                    size = self.socket.recv_into(DISCARDED, min(most, len(DISCARDED)), socket.MSG_TRUNC)
                    self.body_bytes += size
            except BlockingIOError:
                return True
            except OSError as error:
                self.failure = str(error)
                return False
            if size == 0:
                return False
            most -= size
        return True


DISCARDED = bytearray(MIB)


def unsent_bytes(port):
    """What the kernel holds for clients of that port: tx_queue of /proc/net/tcp."""
    total = 0
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and int(fields[1].split(":")[1], 16) == port:
            total += int(fields[4].split(":")[0], 16)
    return total


def piped_bytes(process):
    """What lies in the pipes of a process."""
    total, seen = 0, set()
    for entry in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            name = os.readlink(entry)
            if not name.startswith("pipe:") or name in seen:
                continue
            seen.add(name)
            end = os.open(entry, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        held = array.array("i", [0])
        fcntl.ioctl(end, termios.FIONREAD, held)
        os.close(end)
        total += held[0]
    return total


class Peaks:
    def __init__(self, daemon):
        self.daemon = daemon
        self.unsent = self.piped = 0
        self._looked = 0.0

    def look(self):
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self.unsent = max(self.unsent, unsent_bytes(self.daemon.port))
        self.piped = max(self.piped, piped_bytes(self.daemon.process.pid))


def read_slowly(clients, peaks):
    left = set(clients)
    while left:
        now = time.monotonic()
        for client in [client for client in left if client.next <= now]:
            if not client.read(PIECE_BYTES):
                left.discard(client)
            client.next = now + PAUSE_SECONDS
        peaks.look()
        time.sleep(max(0.0, min((client.next for client in left), default=0) - time.monotonic()))


def read_fast(clients, peaks):
    with selectors.DefaultSelector() as readable:
        for client in clients:
            readable.register(client.socket, selectors.EVENT_READ, client)
        while readable.get_map():
            for key, _ in readable.select(1):
                if not key.data.read(MIB):
                    readable.unregister(key.fileobj)
            peaks.look()


def download(name, how, daemon, count, target, size):
    began = time.monotonic()
    clients = [Client(daemon.port, target) for _ in range(count)]
    peaks = Peaks(daemon)
    how(clients, peaks)
    for client in clients:
        client.socket.close()
    complete = sum(client.failure is None and client.body_bytes == size for client in clients)
    failures = sorted({client.failure or f"{client.body_bytes} bytes" for client in clients
                       if client.failure or client.body_bytes != size})
    print(f"{name}: {complete} of {count} complete, {size // MIB} MiB each, {time.monotonic() - began:.0f} s; at most "
          f"{peaks.unsent / MIB:.0f} MiB unsent, {peaks.piped / MIB:.1f} MiB in pipes, "
          f"{daemon.peak_resident_bytes() / MIB:.0f} MiB resident", flush=True)
    problems = [f"{name}: {complete} of {count} complete: {', '.join(failures[:5])}"] if complete != count else []
    if peaks.unsent > MOST_UNSENT:
        problems.append(f"{name}: {peaks.unsent} bytes lay unsent")
    if peaks.piped > MOST_IN_PIPES:
        problems.append(f"{name}: {peaks.piped} bytes lay in pipes")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--slow-mib", type=int, default=4)
    parser.add_argument("--fast-mib", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    nginx = Nginx("sendfile on; send_timeout 1h; keepalive_requests 100000;")
    daemon = Daemon(proxy_config(nginx.address, access_log=False, workers=options.workers))
    problems = []
    for name, how, mib in (("slow", read_slowly, options.slow_mib), ("fast", read_fast, options.fast_mib)):
        with open(nginx.root / name, "wb") as file:
            file.truncate(mib * MIB)
        problems += download(name, how, daemon, options.clients, f"/{name}", mib * MIB)
    daemon.stop()
    nginx.stop()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
