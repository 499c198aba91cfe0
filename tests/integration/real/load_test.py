"""wrk and h2load in HTTP/1.1 for a few seconds, with not one error."""

import re

from harness import Daemon, RealTest, Standin, main, proxy_config, run


class LoadTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.standins = [cls.start(Standin, f"nsboot-{number}") for number in (1, 2, 3)]
        cls.daemon = cls.start(Daemon, proxy_config(*(standin.address for standin in cls.standins), access_log=False))

    def wrk(self, target, *arguments):
        report = run("wrk", "-t2", "-c64", "-d3s", "--timeout", "10s", *arguments, self.daemon.url(target))
        self.assertEqual(report.status, 0, report.stderr)
        self.assertNotIn("Non-2xx", report.text)
        self.assertNotIn("Socket errors", report.text)
        self.assertGreater(int(re.search(r"(\d+) requests in", report.text)[1]), 100, report.text)

    def test_wrk_small(self):
        self.wrk("/health")

    def test_wrk_images(self):
        self.wrk("/images/initrd?size=64KiB")

    def test_wrk_a_connection_for_each_request(self):
        self.wrk("/health", "-H", "Connection: close")

    def test_h2load_in_http_1(self):
        report = run("h2load", "--h1", "-n20000", "-c64", "-t2", self.daemon.url("/images/a?size=1000"))
        self.assertEqual(report.status, 0, report.stderr)
        self.assertIn("requests: 20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout", report.text)
        self.assertIn("status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx", report.text)


if __name__ == "__main__":
    main()
