"""What the soak's clients do, each function one turn of one client. A turn leaves nothing behind, and every request
whose head has arrived is in the ledger, whatever became of it.
"""

import asyncio
import random

from client import Connection, chunked, judge, request
from ledger import request_body

POOLS = ("main", "named", "narrow")
WEBSOCKET = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")


def some_size():
    return random.choice((0, 1, 100, 5_000, 60_000, 200_000, random.randrange(2_000_000)))


def target(what, token, options="", pool=None):
    return f"/{pool or random.choice(POOLS)}/{what}/{token}?{options}"


async def ask(world, actor, connection, method="GET", lines="", pool=None, what="echo"):
    """One exchange; its response."""
    token, size = world.ledger.token(), some_size()
    options = f"size={size}" + random.choice(("", "&chunked"))
    body = request_body(token, some_size()) if method in ("POST", "PUT") else b""
    await connection.send(request(target(what, token, options, pool), method, lines, body))
    response = await connection.response(method)
    judge(world.ledger, actor, response, token, size, method)
    return response


def is_last(response):
    return response.end or response.fields.get("connection") == "close"


async def browse(world, actor):
    """Keeps its connection."""
    async with await Connection.open(world) as connection:
        for _ in range(20):
            method = random.choice(("GET", "GET", "HEAD", "POST", "PUT"))
            if is_last(await ask(world, actor, connection, method)):
                return


async def fresh(world, actor):
    async with await Connection.open(world) as connection:
        response = await ask(world, actor, connection, lines="Connection: close\r\n")
        if not response.end and await connection.reader.read(1):
            world.ledger.complain(actor, "there is something behind the last answer")


async def pipeline(world, actor):
    async with await Connection.open(world) as connection:
        asked = [(world.ledger.token(), random.choice((0, 10, 1_000, 30_000))) for _ in range(20)]
        await connection.send(b"".join(request(target("echo", token, f"size={size}")) for token, size in asked))
        for token, size in asked:
            response = await connection.response()
            judge(world.ledger, actor, response, token, size)
            if is_last(response):
                # What is behind was not looked at by anybody, and is not counted.
                return


async def upload(world, actor):
    token, body_size = world.ledger.token(), random.randrange(8_000_000)
    body = request_body(token, body_size)
    where, lines = target("echo", token, "size=10"), random.choice(("", "Expect: 100-continue\r\n"))
    async with await Connection.open(world) as connection:
        if random.random() < 0.5:
            data = request(where, "PUT", lines, body)
        else:
            head = request(where, "GET", lines + "Transfer-Encoding: chunked\r\n").replace(b"GET", b"PUT", 1)
            data = head + chunked(body)
        # An early refusal may meet an upload that goes on.
        sending = asyncio.ensure_future(connection.send(data))
        try:
            judge(world.ledger, actor, await connection.response(), token, 10)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def early_answer(world, actor):
    """The answer is there before the body is."""
    token = world.ledger.token()
    body = request_body(token, 300_000)
    data = request(target("early", token, "size=1000"), "PUT", "", body)
    async with await Connection.open(world) as connection:
        await connection.send(data[:-100_000])
        response = await connection.response()
        if not judge(world.ledger, actor, response, token, 1000) or is_last(response):
            return
        await connection.send(data[-100_000:])
        await ask(world, actor, connection)


async def offer_h2c(world, actor):
    """As Java's HttpClient: served as if nothing had been offered."""
    lines = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    async with await Connection.open(world) as connection:
        if not is_last(await ask(world, actor, connection, "POST", lines)):
            await ask(world, actor, connection)


async def upgrade_with_body(world, actor):
    async with await Connection.open(world) as connection:
        more = random.choice((("Content-Length: 10\r\n", b"0123456789"), ("Content-Length: 1000000\r\n", b"x" * 1000),
                              ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n")))
        head = request(target("tunnel", world.ledger.token()), "GET", WEBSOCKET + more[0])
        await connection.send(head + more[1])
        response = await connection.response()
        if response.status != 400:
            world.ledger.complain(actor, f"answered {response}")
        world.ledger.note(actor, str(response.status))


async def tunnel(world, actor):
    token = world.ledger.token()
    server_ends = random.random() < 0.5
    total = random.randrange(1, 500_000)
    said = request_body(token, total)
    where = target("tunnel", token, f"bytes={total}" if server_ends else "")
    async with await Connection.open(world) as connection:
        await connection.send(request(where, "GET", WEBSOCKET))
        response = await connection.head()
        if response.status != 101:
            await connection.reader.readexactly(int(response.fields["content-length"]))
            judge(world.ledger, actor, response, token, 0)
            return
        heard = b""
        try:
            for at in range(0, total, 20_000):
                await connection.send(said[at:at + 20_000])
                if random.random() < 0.3:
                    await asyncio.sleep(0.005)
            if not server_ends:
                connection.half_close()
            while data := await connection.reader.read(1 << 16):
                heard += data
        except OSError:
            world.ledger.note(actor, "cut")
            return
        if heard == said + b"goodbye " + token.encode():
            world.ledger.note(actor, "closed")
        elif (said + b"goodbye " + token.encode()).startswith(heard):
            world.ledger.note(actor, "closed early")  # a server that died; a tunnel's bytes have no framing of ours
        else:
            world.ledger.complain(actor, f"{token}: {len(heard)} bytes of {total}, and not those")


async def abandon(world, actor, method, body, leave):
    """A request that is never answered, and is left once a server has it; counted however it ends."""
    token = world.ledger.token()
    arrived = asyncio.Event()
    world.ledger.arrived[token] = arrived.set
    try:
        async with await Connection.open(world) as connection:
            await connection.send(request(target("hold", token), method, "", body)[:200_000])
            answered = asyncio.ensure_future(connection.reader.read(1))
            waiting = asyncio.ensure_future(arrived.wait())
            await asyncio.wait((answered, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            world.ledger.note(actor, "left" if arrived.is_set() else "answered")
            await leave(connection, answered)
            if not answered.done():
                answered.cancel()
            await asyncio.gather(answered, waiting, return_exceptions=True)
            world.ledger.made += 1
    finally:
        del world.ledger.arrived[token]


async def leave_by_reset(connection, _):
    await asyncio.sleep(random.random() * 0.1)
    connection.reset()


async def abort_waiting(world, actor):
    await abandon(world, actor, "GET", b"", leave_by_reset)


async def abort_upload(world, actor):
    await abandon(world, actor, "POST", b"x" * 10_000_000, leave_by_reset)


async def close_while_waiting(world, actor):
    """By a FIN, which the daemon has to take for a client that has gone."""
    async def leave(connection, answered):
        connection.half_close()
        await asyncio.wait((answered,), timeout=2)
        if not answered.done():
            world.ledger.complain(actor, "2 s after its FIN the client is still waited for")
    await abandon(world, actor, "GET", b"", leave)


async def abort_download(world, actor):
    token = world.ledger.token()
    async with await Connection.open(world) as connection:
        await connection.send(request(target("echo", token, "size=4000000")))
        await connection.head()
        await connection.reader.read(random.randrange(1, 100_000))
        connection.reset()
        world.ledger.note(actor, "left")


async def read_half_closed(world, actor):
    """Has closed its side from the beginning, and takes its answer, as nc -N."""
    token, size = world.ledger.token(), some_size()
    async with await Connection.open(world) as connection:
        await connection.send(request(target("echo", token, f"size={size}")))
        connection.half_close()
        try:
            judge(world.ledger, actor, await connection.response(), token, size)
        except (OSError, asyncio.IncompleteReadError):
            # In a queue, or at a server that took its time, it may have been taken for one that has gone.
            world.ledger.note(actor, "given up")
            world.ledger.made += 1


async def read_slowly(world, actor):
    """But steadily: nobody has a reason to cut it off."""
    token, size = world.ledger.token(), 5_000_000
    async with await Connection.open(world, small=True) as connection:
        await connection.send(request(target("echo", token, f"size={size}", "steady")))
        response = await connection.response(pace=(2_000, 0.1, 80))
        judge(world.ledger, actor, response, token, size, may_be_cut=False)


async def send_slowly(world, actor):
    token, size = world.ledger.token(), some_size()
    async with await Connection.open(world) as connection:
        await connection.drip(request(target("echo", token, f"size={size}")), 7, 0.02)
        judge(world.ledger, actor, await connection.response(), token, size)


async def hang(world, actor):
    """Never ends its head."""
    async with await Connection.open(world) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHost: exam")
        response = await connection.response()
        if response.status != 408:
            world.ledger.complain(actor, f"answered {response}")
        world.ledger.note(actor, str(response.status))


async def hostile(world, actor):
    """Is refused."""
    data = random.choice((
        b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000, b"GET /" + b"x" * 20_000,
        b"POST /unwanted HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 500_000))
    async with await Connection.open(world) as connection:
        sending = asyncio.ensure_future(connection.send(data))
        try:
            response = await connection.response()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        wanted = (200, 400) if data.startswith(b"POST /unwanted") else (400, 414, 431, 505)
        if response.status not in wanted:
            world.ledger.complain(actor, f"{data[:60]} was answered {response}")
        world.ledger.note(actor, str(response.status))


async def torrent_up(world, actor):
    """Chunks of one byte as fast as they are taken, for a server or for nobody."""
    token = world.ledger.token()
    async with await Connection.open(world) as connection:
        where = random.choice((target("hold", token), "/unwanted"))
        head = request(where, "GET", "Transfer-Encoding: chunked\r\n").replace(b"GET", b"POST", 1)
        try:
            await connection.send(head)
            until = asyncio.get_running_loop().time() + 0.3
            while asyncio.get_running_loop().time() < until:
                await asyncio.wait_for(connection.send(b"1\r\nx\r\n" * 10_000), 0.3)
        except (OSError, asyncio.TimeoutError):
            pass
        connection.reset()
        world.ledger.made += 1
        world.ledger.note(actor, "left")


async def torrent_down(world, actor):
    async with await Connection.open(world) as connection:
        await connection.send(request(target("torrent", world.ledger.token())))
        await connection.head()
        try:
            await asyncio.wait_for(connection.ended(), 0.3)
        except asyncio.TimeoutError:
            pass
        connection.reset()
        world.ledger.note(actor, "left")


async def cut_by_server(world, actor):
    token, size = world.ledger.token(), random.choice((1000, 1_000_000))
    async with await Connection.open(world) as connection:
        await connection.send(request(target("cut", token, f"size={size}")))
        judge(world.ledger, actor, await connection.response(), token, size)


async def unasked_bytes(world, actor):
    """A server that says more than it was asked for, which is nobody's answer."""
    async with await Connection.open(world) as connection:
        for _ in range(3):
            token, size = world.ledger.token(), random.choice((0, 1000, 100_000))
            await connection.send(request(target("unasked", token, f"size={size}")))
            response = await connection.response()
            judge(world.ledger, actor, response, token, size)
            if is_last(response):
                return


async def passing_listener(world, actor):
    """A listener that reloads take away and bring back: refused or served, and nothing between."""
    try:
        connection = await Connection.open(world, path=world.passing_path)
    except OSError:
        world.ledger.note(actor, "refused")
        await asyncio.sleep(0.02)
        return
    async with connection:
        await ask(world, actor, connection, lines="Connection: close\r\n")


# How many clients of each kind there are.
CROWD = {
    browse: 6, fresh: 4, pipeline: 2, upload: 2, early_answer: 1, offer_h2c: 1, upgrade_with_body: 1, tunnel: 4,
    abort_waiting: 2, abort_upload: 1, close_while_waiting: 3, abort_download: 2, read_half_closed: 2, read_slowly: 3,
    send_slowly: 2, hang: 2, hostile: 2, torrent_up: 1, torrent_down: 1, cut_by_server: 1, unasked_bytes: 1,
    passing_listener: 2,
}
