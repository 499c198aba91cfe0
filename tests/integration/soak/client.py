"""A client of the daemon: one connection, and what comes back on it, told apart by how it ended."""

import asyncio
import socket

from ledger import response_body
from servers import parse_head, read_chunked, reset

LIMIT = 1 << 18


class Response:
    def __init__(self, first, fields):
        self.status = int(first.split(" ")[1])
        self.fields = fields
        self.body = b""
        self.end = ""  # "closed" or "reset" where the body ended too early

    def __str__(self):
        return f"{self.status} {self.fields} with {len(self.body)} bytes, {self.end or 'whole'}"


class Connection:
    """Counts in the ledger what the daemon counts: a request for each head of a final response."""

    def __init__(self, ledger, reader, writer):
        self.ledger = ledger
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, world, small=False, path=None):
        connection = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        connection.setblocking(False)
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        try:
            await asyncio.get_running_loop().sock_connect(connection, path or ("127.0.0.1", world.port))
        except OSError:
            connection.close()
            raise
        return cls(world.ledger, *await asyncio.open_connection(sock=connection, limit=8192 if small else LIMIT))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data, piece, pause):
        for at in range(0, len(data), piece):
            await self.send(data[at:at + piece])
            await asyncio.sleep(pause)

    def half_close(self):
        self.writer.write_eof()

    def reset(self):
        reset(self.writer)

    async def ended(self):
        """Reads whatever comes until the end."""
        try:
            while await self.reader.read(LIMIT):
                pass
        except OSError:
            pass

    async def head(self):
        """Of the next final response, or of a 101; ConnectionError or IncompleteReadError if there is none."""
        while True:
            response = Response(*parse_head(await self.reader.readuntil(b"\r\n\r\n")))
            if response.status >= 200 or response.status == 101:
                self.ledger.made += 1
                return response

    async def response(self, method="GET", pace=None):
        """The next one; `pace` = (bytes at a time, seconds between them, how often)."""
        response = await self.head()
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        try:
            if "chunked" in response.fields.get("transfer-encoding", ""):
                response.body = await read_chunked(self.reader)
                return response
            left = int(response.fields["content-length"])
            size, pause, times = pace or (0, 0, 0)
            for _ in range(times):
                piece = await self.reader.readexactly(min(size, left))
                response.body += piece
                left -= len(piece)
                await asyncio.sleep(pause)
            response.body += await self.reader.readexactly(left)
        except asyncio.IncompleteReadError as cut:
            response.body += cut.partial
            # A unix socket knows no reset: what is cut there just ends.
            unix = self.writer.get_extra_info("socket").family == socket.AF_UNIX
            response.end = "reset" if unix else "closed"
        except OSError:
            response.end = "reset"
        return response


def request(target, method="GET", lines="", body=b"", host="example.com"):
    length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT") else ""
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{lines}\r\n".encode() + body


def chunked(body, size=10_000):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def judge(ledger, actor, response, token, size, method="GET", may_be_cut=True):
    """Whether it is the whole right answer. One that a server's death has cut or prevented is not wrong."""
    if response.status in (502, 503, 504) and "x-token" not in response.fields:
        ledger.note(actor, str(response.status))
        return False
    if response.status != 200:
        ledger.complain(actor, f"{token} was answered {response}")
        return False
    if response.fields.get("x-token") != token:
        ledger.complain(actor, f"{token} got the answer to another: {response}")
        return False
    expected = b"" if method == "HEAD" else response_body(token, size)
    if response.end:
        right = response.end == "reset" and may_be_cut and expected.startswith(response.body)
        ledger.note(actor, "cut") if right else ledger.complain(actor, f"{token} was cut wrongly: {response}")
        return False
    if response.body != expected:
        ledger.complain(actor, f"{token} has the wrong bytes: {response}, {size} expected")
        return False
    ledger.note(actor, "200")
    return True
