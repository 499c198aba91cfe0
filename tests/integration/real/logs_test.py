"""Logs into pipes, as under a container's runtime or `nsboot-lb | logger`: readers that leave, and readers that stop
reading, cost lines and nothing else. Logs in files, rotated by Debian's logrotate with packaging/'s snippet."""

import fcntl
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

from harness import BINARY, PATIENCE_SECONDS, SANITIZED, RealTest, Standin, await_true, main, run

SNIPPET = pathlib.Path(__file__).resolve().parents[3] / "packaging/logrotate/nsboot-lb"

F_SETPIPE_SZ = 1031  # fcntl(2); Python 3.10 has a name for it
PIPE_BYTES = 4096  # as small as a pipe may be, so that it is soon full
QUEUE_BYTES = 8 * 1024 * 1024  # of the access log: what may wait for a slow reader
LONG = 7000  # bytes of a target, to fill that sooner


class LoggingDaemon:
    """nsboot-lb whose stdout and stderr lead where the test wants. It listens on unix sockets: where nobody reads the
    log, nobody can read a port out of it. With `files` its logs are in files instead."""

    def __init__(self, server, stdout, stderr, files=False):
        self._directory = tempfile.TemporaryDirectory(prefix="nsboot-lb-test-")
        self.directory = directory = pathlib.Path(self._directory.name)
        self.socket = directory / "front.sock"
        self.admin_socket = directory / "admin.sock"
        targets = (directory / "event.log", directory / "access.log") if files else ("stderr", "stdout")
        (directory / "nsboot-lb.yaml").write_text(f"""
workers: 2
listeners: [{{address: "unix:{self.socket}"}}]
pools: {{p: {{servers: ["{server}"]}}}}
routes: [{{pool: p}}]
logging: {{target: {targets[0]}, access: {{target: {targets[1]}, format: json}}}}
admin: {{address: "unix:{self.admin_socket}"}}
""")
        self.process = subprocess.Popen([BINARY, "--config", directory / "nsboot-lb.yaml"], stdin=subprocess.DEVNULL,
                                        stdout=stdout, stderr=stderr)
        await_true(lambda: self.process.poll() is not None or self.admin_socket.exists(), "the daemon is there")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(PATIENCE_SECONDS)
        self._directory.cleanup()
        if status != 0:
            raise AssertionError(f"the daemon ended with status {status}")

    def connect(self, path=None):
        return UnixConnection(path or self.socket)

    def metric(self, name):
        connection = self.connect(self.admin_socket)
        try:
            text = connection.ask("GET", "/metrics")[1].decode()
        finally:
            connection.close()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])

    def lost(self, log):
        return self.metric(f"nsboot_lb_{log}_log_lost_lines_total")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, target, body=None):
        self.request(method, target, body=body)
        response = self.getresponse()
        return response.status, response.read()


class LogPipeTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.standin = cls.start(Standin)

    def setUp(self):
        super().setUp()
        self.reader, self.writer = os.pipe()
        self.addCleanup(lambda: [os.close(end) for end in (self.reader, self.writer) if end >= 0])

    def daemon(self, stdout, stderr):
        daemon = LoggingDaemon(self.standin.address, stdout, stderr)
        self.addCleanup(daemon.stop)
        return daemon

    def close_reader(self):
        os.close(self.reader)
        self.reader = -1

    def request(self, daemon, count, target="/health"):
        """That many requests on one connection, each of which has to be answered."""
        connection = daemon.connect()
        for _ in range(count):
            self.assertEqual(connection.ask("GET", target)[0], 200)
        connection.close()

    def make_events(self, daemon, count):
        connection = daemon.connect(daemon.admin_socket)
        for _ in range(count):
            self.assertEqual(connection.ask("PUT", "/api/v1/log-level", json.dumps({"level": "info"}))[0], 200)
        connection.close()

    def test_a_reader_of_stdout_that_leaves(self):
        daemon = self.daemon(self.writer, subprocess.DEVNULL)
        self.request(daemon, 1)
        self.assertIn(b'"uri":"/health"', os.read(self.reader, 65536))
        self.close_reader()
        self.request(daemon, 50)
        await_true(lambda: daemon.lost("access") == 50, "50 lines are counted as lost")
        self.assertEqual(daemon.lost("event"), 0)
        self.request(daemon, 1)

    def test_a_reader_of_stderr_that_leaves(self):
        daemon = self.daemon(subprocess.DEVNULL, self.writer)
        self.close_reader()
        before = daemon.lost("event")
        self.make_events(daemon, 50)
        self.assertEqual(daemon.lost("event"), before + 50)
        self.assertEqual(daemon.lost("access"), 0)
        self.request(daemon, 1)

    def test_a_reader_of_stderr_that_does_not_read(self):
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, PIPE_BYTES)
        daemon = self.daemon(subprocess.DEVNULL, self.writer)
        self.make_events(daemon, 300)
        lost = daemon.lost("event")
        self.assertGreater(lost, 100)
        self.request(daemon, 10)
        said = os.read(self.reader, 1 << 20).decode()
        self.assertTrue(said.endswith("\n"))
        for line in said.splitlines():
            self.assertRegex(line, r"^20\S+Z info ")
        self.make_events(daemon, 1)
        self.assertEqual(daemon.lost("event"), lost)

    def test_a_reader_of_stdout_that_does_not_read(self):
        errors = tempfile.TemporaryFile()
        self.addCleanup(errors.close)
        daemon = self.daemon(self.writer, errors)
        lines = 2 * QUEUE_BYTES // LONG
        started = time.monotonic()
        self.request(daemon, lines, "/health?" + "x" * LONG)
        took = time.monotonic() - started
        await_true(lambda: daemon.lost("access") > 0, "lines are counted as lost")
        lost = daemon.lost("access")
        self.assertLess(lost, lines)
        self.assertLess(took, 60 if SANITIZED else 15)
        self.assertEqual(text_of(errors).count("access log's reader is too slow, lines are lost target=stdout"), 1)

        # What waited comes when it is read, whole lines all of them.
        os.set_blocking(self.reader, False)
        read = b""
        while read.count(b"\n") + lost < lines:
            try:
                read += os.read(self.reader, 1 << 20)
            except BlockingIOError:
                self.assertLess(time.monotonic() - started, 2 * PATIENCE_SECONDS)
        for line in read.splitlines():
            self.assertEqual(json.loads(line)["status"], 200)
        self.assertEqual(read.count(b"\n") + daemon.lost("access"), lines)
        await_true(lambda: "access log has caught up target=stdout" in text_of(errors), "it is said that this is over")

    def test_one_pipe_for_both_logs_and_nobody_reads(self):
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, PIPE_BYTES)
        daemon = self.daemon(self.writer, self.writer)
        for _ in range(20):
            self.request(daemon, 10)
            self.make_events(daemon, 20)
        self.assertGreater(daemon.lost("event"), 100)
        self.request(daemon, 10)

    def test_a_stop_does_not_wait_long_for_a_reader(self):
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, PIPE_BYTES)
        daemon = LoggingDaemon(self.standin.address, self.writer, subprocess.DEVNULL)
        self.request(daemon, 100)
        started = time.monotonic()
        daemon.stop()
        self.assertLess(time.monotonic() - started, 10)


class RotationTest(RealTest):
    def test_logrotate_loses_no_line(self):
        daemon = LoggingDaemon(self.start(Standin).address, subprocess.DEVNULL, subprocess.DEVNULL, files=True)
        self.addCleanup(daemon.stop)
        snippet = SNIPPET.read_text()
        self.assertIn("/var/log/nsboot-lb/*.log", snippet)
        self.assertIn("systemctl kill --signal=USR1 nsboot-lb.service", snippet)
        configuration = daemon.directory / "logrotate.conf"
        configuration.write_text(snippet.replace("/var/log/nsboot-lb", str(daemon.directory)).replace(
            "systemctl kill --signal=USR1 nsboot-lb.service", f"kill -USR1 {daemon.process.pid}"))

        connection = daemon.connect()
        asked = 0
        for rotation in range(1, 4):
            for _ in range(100):
                self.assertEqual(connection.ask("GET", f"/health?{asked}")[0], 200)
                asked += 1
            await_true(lambda: (daemon.directory / "access.log").stat().st_size, "there is something to rotate")
            self.assertEqual(connection.ask("GET", f"/health?{asked}")[0], 200)  # still in a worker's buffer
            asked += 1
            rotated = run("/usr/sbin/logrotate", "--force", "--state", daemon.directory / "state", configuration)
            self.assertEqual((rotated.status, rotated.stderr), (0, ""))
            for log in ("access.log", "event.log"):
                await_true((daemon.directory / log).exists, f"{log} is there again")
                self.assertTrue((daemon.directory / f"{log}.1").exists())
                self.assertEqual((daemon.directory / f"{log}.2.gz").exists(), rotation > 1)
            # The event log is empty otherwise, and an empty one is not rotated.
            admin = daemon.connect(daemon.admin_socket)
            self.assertEqual(admin.ask("PUT", "/api/v1/log-level", '{"level": "info"}')[0], 200)
            admin.close()
        connection.close()

        def logged():
            uris = []
            for file in daemon.directory.glob("access.log*"):
                text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
                uris += [json.loads(line)["uri"] for line in text.splitlines()]
            return uris

        await_true(lambda: len(logged()) == asked, "every request is in one of the files")
        self.assertEqual(sorted(logged()), sorted(f"/health?{number}" for number in range(asked)))
        self.assertEqual(daemon.lost("access"), 0)


def text_of(file):
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    main()
