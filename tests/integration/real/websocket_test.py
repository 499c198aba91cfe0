"""Python's websockets library as client, and as server, with the daemon between."""

import asyncio
import http
import itertools
import json
import os
import signal
import threading

import websockets

from harness import PATIENCE_SECONDS, SANITIZED, Daemon, RealTest, Standin, main, proxy_config

LARGE = 4 << 20 if SANITIZED else 32 << 20


class WebSocketServer:
    """A websockets server on a thread of its own: echoes, and closes with the code that a message "close CODE" asks for."""

    def __init__(self):
        self.closed_with = []
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        ready.wait(PATIENCE_SECONDS)

    def _run(self, ready):
        async def serve():
            self._end = asyncio.Event()
            async with websockets.serve(self._talk, "127.0.0.1", 0, subprotocols=["nsboot.v1"], max_size=None,
                                        process_request=self._refuse) as server:
                self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
                ready.set()
                await self._end.wait()
        self._loop.run_until_complete(serve())
        self._loop.close()

    async def _refuse(self, path, _):
        return (http.HTTPStatus.FORBIDDEN, [("X-Why", "not here")], b"no WebSocket here\n") if path == "/refused" else None

    async def _talk(self, socket):
        try:
            async for message in socket:
                if isinstance(message, str) and message.startswith("close "):
                    await socket.close(int(message.split()[1]), "as asked")
                else:
                    await socket.send(message)
        except websockets.ConnectionClosed:
            pass  # the code is noted below
        finally:
            self.closed_with.append((socket.close_code, socket.close_reason))

    def stop(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(PATIENCE_SECONDS)


class ThroughTheDaemon(RealTest):
    def connect(self, path="/ws", **options):
        return websockets.connect(f"ws://127.0.0.1:{self.daemon.port}{path}", max_size=None, open_timeout=PATIENCE_SECONDS, **options)

    def play(self, scene):
        async def bounded():
            await asyncio.wait_for(scene(), 2 * PATIENCE_SECONDS)
        asyncio.run(bounded())


class StandinTest(ThroughTheDaemon):
    @classmethod
    def setUpClass(cls):
        cls.standin = cls.start(Standin, "nsboot-9")
        cls.daemon = cls.start(Daemon, proxy_config(cls.standin.address))

    def test_greets_and_echoes_text_and_bytes(self):
        async def scene():
            async with self.connect() as socket:
                self.assertEqual(json.loads(await socket.recv())["hostname"], "nsboot-9")
                for message in ("hello", "", "späße ☃", b"\x00\xff" * 10, b""):
                    await socket.send(message)
                    self.assertEqual(await socket.recv(), message)
        self.play(scene)

    def test_server_pings_arrive_in_silence(self):
        async def scene():
            pings = asyncio.Event()
            async with self.connect(ping_interval=None) as socket:
                await socket.recv()
                answer = socket.pong

                async def note(data=b""):
                    pings.set()
                    await answer(data)
                socket.pong = note
                await asyncio.wait_for(pings.wait(), PATIENCE_SECONDS)
        self.play(scene)

    def test_fifty_sockets_at_once(self):
        async def one(number):
            async with self.connect() as socket:
                await socket.recv()
                for turn in range(20):
                    await socket.send(f"{number}.{turn}")
                    self.assertEqual(await socket.recv(), f"{number}.{turn}")

        async def scene():
            await asyncio.gather(*(one(number) for number in range(50)))
        self.play(scene)


class LibraryServerTest(ThroughTheDaemon):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.start(WebSocketServer)
        cls.daemon = cls.start(Daemon, proxy_config(cls.server.address))

    def test_large_messages_come_back_whole(self):
        async def scene():
            async with self.connect(compression=None) as socket:
                message = os.urandom(LARGE)
                await socket.send(message)
                self.assertEqual(await socket.recv(), message)
        self.play(scene)

    def test_compression_is_negotiated_between_the_ends(self):
        async def scene():
            async with self.connect(compression="deflate") as socket:
                self.assertTrue(socket.extensions)
                await socket.send("a" * 100_000)
                self.assertEqual(await socket.recv(), "a" * 100_000)
        self.play(scene)

    def test_subprotocol_is_negotiated_between_the_ends(self):
        async def scene():
            async with self.connect(subprotocols=["other", "nsboot.v1"]) as socket:
                self.assertEqual(socket.subprotocol, "nsboot.v1")
        self.play(scene)

    def test_close_code_of_the_server_arrives(self):
        async def scene():
            for code in (1000, 1001, 1011, 4321):
                async with self.connect() as socket:
                    await socket.send(f"close {code}")
                    await socket.wait_closed()
                    self.assertEqual((socket.close_code, socket.close_reason), (code, "as asked"))
        self.play(scene)

    def test_close_code_of_the_client_arrives(self):
        async def scene():
            async with self.connect() as socket:
                await socket.close(4242, "done")
                self.assertEqual(socket.close_code, 4242)
            while (4242, "done") not in self.server.closed_with:
                await asyncio.sleep(0.01)
        self.play(scene)

    def test_pings_are_answered_by_the_other_end(self):
        async def scene():
            async with self.connect() as socket:
                pong = await socket.ping(b"through")
                await pong
        self.play(scene)

    def test_refused_upgrade_is_an_ordinary_answer(self):
        async def scene():
            with self.assertRaises(websockets.InvalidStatusCode) as raised:
                async with self.connect("/refused"):
                    pass
            self.assertEqual(raised.exception.status_code, 403)
            self.assertEqual(raised.exception.headers["X-Why"], "not here")
        self.play(scene)


class StopTest(ThroughTheDaemon):
    """Clients learn that the daemon stops with a code that tells them to connect anew, and lose nothing half-way."""

    def setUp(self):
        super().setUp()
        self.server = WebSocketServer()
        self.addCleanup(self.server.stop)
        self.daemon = Daemon(proxy_config(self.server.address) + "shutdown: {drain_timeout: 500ms}\n")
        self.addCleanup(self.daemon.stop)

    def assert_told(self, socket):
        self.assertEqual((socket.close_code, socket.close_reason), (1001, "going away, please reconnect"))

    def test_quiet_clients_are_told(self):
        async def scene():
            sockets = [await self.connect() for _ in range(20)]
            self.daemon.process.send_signal(signal.SIGTERM)
            for socket in sockets:
                await socket.wait_closed()
                self.assert_told(socket)
            while len(self.server.closed_with) < len(sockets):
                await asyncio.sleep(0.01)
            self.assertEqual({code for code, _ in self.server.closed_with}, {1001})
        self.play(scene)

    def test_messages_on_their_way_are_whole(self):
        def message(number, turn):
            size = (1, 125, 126, 3000, 65535, 65536, 200_000)[turn % 7]
            return (b"%d.%d|" % (number, turn)) * (size // 8 + 1)

        async def talk(number, compression):
            async with self.connect(compression=compression) as socket:
                received = 0

                async def send():
                    for turn in itertools.count():
                        await socket.send(message(number, turn))
                        await asyncio.sleep(0)
                sending = asyncio.ensure_future(send())
                try:
                    async for answer in socket:
                        self.assertEqual(answer, message(number, received))
                        received += 1
                        if received == 5:
                            self.busy += 1
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                self.assert_told(socket)
                self.assertGreater(received, 5)

        async def scene():
            self.busy = 0
            clients = [asyncio.ensure_future(talk(number, "deflate" if number % 2 else None)) for number in range(10)]
            while self.busy < len(clients):
                await asyncio.sleep(0.01)
            self.daemon.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*clients)
        self.play(scene)


if __name__ == "__main__":
    main()
