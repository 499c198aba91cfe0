"""Debian's nginx as the server behind the daemon: files, gzip, ranges, keep-alive, chunked responses."""

import gzip
import http.client
import os

from harness import Daemon, Nginx, RealTest, await_true, main, proxy_config

TEXT = b"".join(b"line %06d of a text that compresses well\n" % number for number in range(20_000))
BINARY = os.urandom(3_000_000)


class NginxTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.nginx = cls.start(Nginx, "gzip on; gzip_types text/plain; gzip_min_length 100; gzip_proxied any; "
                                     "types { text/plain txt; } "
                                     "location /moved { return 301 /elsewhere?a=b; }")
        (cls.nginx.root / "text.txt").write_bytes(TEXT)
        (cls.nginx.root / "binary").write_bytes(BINARY)
        (cls.nginx.root / "empty").write_bytes(b"")
        (cls.nginx.root / "folder").mkdir()
        cls.daemon = cls.start(Daemon, proxy_config(cls.nginx.address, workers=1))

    def setUp(self):
        super().setUp()
        self.client = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=30)
        self.addCleanup(self.client.close)

    def ask(self, target, method="GET", body=None, **fields):
        """(response, body); the connection stays open for the next."""
        self.client.request(method, target, body=body, headers={name.replace("_", "-"): value for name, value in fields.items()})
        response = self.client.getresponse()
        return response, response.read()

    def await_logged(self, target):
        """Waits until nginx has logged that target: it does so when it has sent the answer, which may be here before."""
        await_true(lambda: any(uri == target for _, _, uri, _ in self.nginx.requests()), f"nginx logs {target}")

    def test_files_come_whole(self):
        for name, expected in (("text.txt", TEXT), ("binary", BINARY), ("empty", b"")):
            response, body = self.ask(f"/{name}")
            self.assertEqual(response.status, 200)
            self.assertEqual(response.getheader("Content-Length"), str(len(expected)))
            self.assertEqual(body, expected)

    def test_compressed_response_is_chunked_and_intact(self):
        response, body = self.ask("/text.txt", Accept_Encoding="gzip")
        self.assertEqual(response.getheader("Content-Encoding"), "gzip")
        self.assertEqual(response.getheader("Transfer-Encoding"), "chunked")
        self.assertEqual(gzip.decompress(body), TEXT)

    def test_daemon_asks_for_no_compression_by_itself(self):
        response, _ = self.ask("/text.txt", Accept_Encoding="identity")
        self.assertIsNone(response.getheader("Content-Encoding"))

    def test_ranges(self):
        response, body = self.ask("/binary", Range="bytes=1000000-1999999")
        self.assertEqual(response.status, 206)
        self.assertEqual(response.getheader("Content-Range"), "bytes 1000000-1999999/3000000")
        self.assertEqual(body, BINARY[1_000_000:2_000_000])
        response, body = self.ask("/binary", Range="bytes=-1")
        self.assertEqual(body, BINARY[-1:])
        self.assertEqual(self.ask("/binary", Range="bytes=3000000-")[0].status, 416)

    def test_several_ranges_come_as_multipart(self):
        response, body = self.ask("/binary", Range="bytes=0-9,20-29")
        self.assertEqual(response.status, 206)
        self.assertTrue(response.getheader("Content-Type").startswith("multipart/byteranges"))
        self.assertIn(BINARY[:10], body)
        self.assertIn(BINARY[20:30], body)

    def test_range_with_if_range(self):
        etag = self.ask("/binary")[0].getheader("ETag")
        self.assertEqual(self.ask("/binary", Range="bytes=0-9", If_Range=etag)[0].status, 206)
        self.assertEqual(self.ask("/binary", Range="bytes=0-9", If_Range='"old"')[0].status, 200)

    def test_not_modified(self):
        etag = self.ask("/binary")[0].getheader("ETag")
        response, body = self.ask("/binary", If_None_Match=etag)
        self.assertEqual((response.status, body), (304, b""))
        self.assertEqual(self.ask("/empty")[0].status, 200)

    def test_head_and_missing_and_refused(self):
        response, body = self.ask("/binary", "HEAD")
        self.assertEqual((response.status, response.getheader("Content-Length"), body), (200, "3000000", b""))
        self.assertEqual(self.ask("/missing")[0].status, 404)
        self.assertEqual(self.ask("/binary", "POST", body=b"x" * 1000)[0].status, 405)

    def test_redirects_pass_unchanged(self):
        response, _ = self.ask("/moved")
        self.assertEqual(response.status, 301)
        self.assertTrue(response.getheader("Location").endswith("/elsewhere?a=b"))
        self.assertEqual(self.ask("/folder")[0].status, 301)

    def test_connections_to_the_server_are_kept(self):
        for number in range(100):
            self.client.close()  # a new client connection each time
            self.assertEqual(self.ask(f"/empty?kept={number}")[0].status, 200)
        self.await_logged("/empty?kept=99")
        connections = {connection for connection, _, uri, _ in self.nginx.requests() if "?kept=" in uri}
        self.assertEqual(len(connections), 1)

    def test_targets_arrive_byte_for_byte(self):
        for target in ("/a%2Fb?x=%20y", "//double", "/a/./b/../c"):
            self.ask(target)
        for target in ("/a%2Fb?x=%20y", "//double", "/a/./b/../c"):
            self.await_logged(target)


if __name__ == "__main__":
    main()
