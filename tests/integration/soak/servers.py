"""The servers behind the daemon: each says what it was asked for by a token that is in the target, in a field of the
answer and in every byte of its body, and can die at any moment and come back.

Targets are /POOL/WHAT/TOKEN?size=N&flag…, see Server.answers.
"""

import asyncio
import socket
import struct

from ledger import request_body, response_body

CHUNK = 16 * 1024
POISON = b"HTTP/1.1 200 OK\r\nX-Token: poison\r\nContent-Length: 6\r\n\r\npoison"


def reset(writer):
    """Closes so that the other side sees a reset."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()


def parse_head(head):
    """(first line, {lower-case name: value})"""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def read_chunked(reader):
    body = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return b"".join(body)
        body.append((await reader.readexactly(size + 2))[:-2])


async def read_body(reader, fields):
    if "chunked" in fields.get("transfer-encoding", ""):
        return await read_chunked(reader)
    return await reader.readexactly(int(fields.get("content-length", 0)))


class Server:
    def __init__(self, ledger, host):
        self.ledger = ledger
        self.host = host
        self.port = 0
        self._listening = None
        self._writers = set()
        self.answers = {"echo": self.echo, "hold": self.hold, "early": self.early, "cut": self.cut,
                        "unasked": self.unasked, "torrent": self.torrent, "tunnel": self.tunnel}

    async def start(self, port=0):
        """Where it was before, if it was there before."""
        self._listening = await asyncio.start_server(self._serve, self.host, self.port or port, limit=1 << 18,
                                                     backlog=1024, reuse_address=True)
        self.port = self._listening.sockets[0].getsockname()[1]

    def die(self):
        self._listening.close()
        for writer in list(self._writers):
            reset(writer)

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the daemon's end of it says what that is to mean
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve_one(self, reader, writer):
        """False if the connection is over."""
        first, fields = parse_head(await reader.readuntil(b"\r\n\r\n"))
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        options = dict(word.partition("=")[::2] for word in query.split("&")) if query else {}
        words = path.split("/")
        if words[1] == "health":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True
        token = words[3]
        if token in self.ledger.arrived:
            self.ledger.arrived[token]()
        return await self.answers[words[2]](reader, writer, method, fields, token, options)

    def _head(self, token, framing, status="200 OK"):
        return f"HTTP/1.1 {status}\r\nX-Token: {token}\r\nX-Served-By: {self.host}\r\n{framing}\r\n\r\n".encode()

    def _whole(self, token, size, method="GET", status="200 OK"):
        body = b"" if method == "HEAD" else response_body(token, size)
        return self._head(token, f"Content-Length: {size}", status) + body

    def _check(self, token, fields, body):
        if "upgrade" in fields or "http2-settings" in fields:
            self.ledger.complain("server", f"an offer to upgrade arrived with a body: {fields}")
        if body != request_body(token, len(body)):
            self.ledger.complain("server", f"a body of {len(body)} bytes is not that of {token}")

    async def echo(self, reader, writer, method, fields, token, options):
        if fields.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._check(token, fields, await read_body(reader, fields))
        size = int(options.get("size", 0))
        if "chunked" in options and method != "HEAD":
            body = response_body(token, size)
            writer.write(self._head(token, "Transfer-Encoding: chunked"))
            for at in range(0, size, CHUNK):
                piece = body[at:at + CHUNK]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            writer.write(self._whole(token, size, method))
        await writer.drain()
        return True

    async def hold(self, reader, writer, *_):
        """Never answers, and waits for the daemon to give up."""
        while await reader.read(1 << 18):
            pass
        return False

    async def early(self, reader, writer, method, fields, token, options):
        writer.write(self._whole(token, int(options.get("size", 0)), method))
        await writer.drain()
        self._check(token, {}, await read_body(reader, fields))
        return True

    async def cut(self, reader, writer, method, fields, token, options):
        size = int(options["size"])
        writer.write(self._head(token, f"Content-Length: {size}") + response_body(token, size)[:size // 2])
        await writer.drain()
        await asyncio.sleep(0.01)
        reset(writer)
        return False

    async def unasked(self, reader, writer, method, fields, token, options):
        writer.write(self._whole(token, int(options.get("size", 0)), method) + POISON)
        await writer.drain()
        return True

    async def torrent(self, reader, writer, method, fields, token, options):
        writer.write(self._head(token, "Transfer-Encoding: chunked"))
        while True:
            writer.write(b"1\r\nx\r\n" * 4096)
            await writer.drain()

    async def tunnel(self, reader, writer, method, fields, token, options):
        writer.write(self._head(token, "Upgrade: websocket\r\nConnection: Upgrade", "101 Switching Protocols"))
        left = int(options.get("bytes", 1 << 40))  # after so many it closes by itself
        while left > 0:
            data = await reader.read(min(left, 1 << 16))
            if not data:
                break
            left -= len(data)
            writer.write(data)
            await writer.drain()
        writer.write(b"goodbye " + token.encode())
        await writer.drain()
        writer.write_eof()
        while await reader.read(1 << 16):
            pass
        return False
