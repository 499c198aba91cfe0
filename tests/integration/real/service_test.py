"""The service as systemd sees it: what is told over NOTIFY_SOCKET (sd_notify(3)), and the watchdog fed."""

import pathlib
import signal
import socket
import tempfile
import urllib.request

from harness import PATIENCE_SECONDS, Daemon, RealTest, main, proxy_config


class ServiceTest(RealTest):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix="nsboot-lb-notify-")
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / "notify"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(path))
        self.manager.settimeout(PATIENCE_SECONDS)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def daemon(self, **more):
        daemon = Daemon(proxy_config("127.0.0.1:9"), {**self.environment, **more})
        self.addCleanup(lambda: daemon.process.poll() is None and daemon.kill())
        return daemon

    def next_notice(self, skip="WATCHDOG=1"):
        while True:
            notice = dict(line.split("=", 1) for line in self.manager.recv(4096).decode().splitlines())
            if notice != dict([skip.split("=")]):
                return notice

    def test_says_when_it_is_ready_reloading_and_stopping(self):
        daemon = self.daemon()
        ready = self.next_notice()
        self.assertEqual(ready["READY"], "1")
        self.assertIn("1 listeners", ready["STATUS"])

        daemon.process.send_signal(signal.SIGHUP)
        reloading = self.next_notice()
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertTrue(reloading["MONOTONIC_USEC"].isdigit())
        self.assertEqual(self.next_notice()["READY"], "1")

        request = urllib.request.Request(f"http://127.0.0.1:{daemon.admin_port}/api/v1/reload", method="POST")
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()
        self.assertEqual(self.next_notice()["RELOADING"], "1")
        self.assertEqual(self.next_notice()["READY"], "1")

        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.next_notice()["STOPPING"], "1")
        self.assertEqual(daemon.await_exit(), 0)

    def test_feeds_the_watchdog(self):
        daemon = self.daemon(WATCHDOG_USEC="200000")
        for _ in range(3):
            while self.manager.recv(4096) != b"WATCHDOG=1":
                pass
        daemon.stop()


if __name__ == "__main__":
    main()
