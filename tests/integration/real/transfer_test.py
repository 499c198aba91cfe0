"""A gibibyte down and a gibibyte up, every byte checked, in memory that does not grow with them."""

import hashlib
import http.client
import json
import socket

from harness import SANITIZED, Daemon, RealTest, Standin, await_true, main, proxy_config

SIZE = 64 << 20 if SANITIZED else 1 << 30
RESIDENT_LIMIT = 40 << 20
BLOCK = 1 << 20


def download(host, target):
    """(size, SHA-256) of the body at that target."""
    client = http.client.HTTPConnection(host, timeout=60)
    client.request("GET", target)
    response = client.getresponse()
    digest, size, block = hashlib.sha256(), 0, memoryview(bytearray(BLOCK))
    while count := response.readinto(block):
        digest.update(block[:count])
        size += count
    client.close()
    return size, digest.hexdigest()


class TransferTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.standin = cls.start(Standin)
        cls.daemon = cls.start(Daemon, proxy_config(cls.standin.address))
        cls.host = f"127.0.0.1:{cls.daemon.port}"

    def tearDown(self):
        if not SANITIZED:  # a sanitizer's own memory is many times that
            self.assertLess(self.daemon.peak_resident_bytes(), RESIDENT_LIMIT)

    def upload(self, chunked):
        """Sends SIZE bytes in the one framing or the other, and compares what the server says it got."""
        block = bytes(range(256)) * (BLOCK // 256)
        digest = hashlib.sha256()

        def blocks():
            for _ in range(SIZE // BLOCK):
                digest.update(block)
                yield block
        client = http.client.HTTPConnection(self.host, timeout=60)
        fields = {} if chunked else {"Content-Length": str(SIZE)}
        client.request("POST", "/api/images/upload", body=blocks(), headers=fields, encode_chunked=chunked)
        answer = json.loads(client.getresponse().read())
        client.close()
        self.assertEqual((answer["size"], answer["sha256"]), (SIZE, digest.hexdigest()))

    def test_down(self):
        target = f"/images/windows.img?size={SIZE}"
        expected = download(self.standin.address, target)
        self.assertEqual(expected[0], SIZE)
        self.assertEqual(download(self.host, target), expected)

    def test_up_with_a_length(self):
        self.upload(chunked=False)

    def test_up_in_chunks(self):
        self.upload(chunked=True)

    def test_clients_that_do_not_read_cost_no_memory(self):
        request = f"GET /images/windows.img?size={SIZE} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        clients = [socket.create_connection(("127.0.0.1", self.daemon.port), timeout=60) for _ in range(32)]
        for client in clients:
            client.sendall(request)
        for client in clients:
            await_true(lambda each=client: each.recv(1, socket.MSG_PEEK), "a response begins")
        self.assertEqual(download(self.host, "/images/other.img?size=16MiB")[0], 16 << 20)
        for client in clients:
            client.close()


if __name__ == "__main__":
    main()
