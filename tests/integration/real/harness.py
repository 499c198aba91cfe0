"""What the tests against real programs share: the daemon, stand-ins and nginx as child processes that listen on ports
the system chose, and end with the test. Standard library alone. A program that ends otherwise than asked fails the test.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PATIENCE_SECONDS = 30  # for what takes milliseconds on an idle machine
BUILD = pathlib.Path(__file__).resolve().parents[3] / "build" / "release"  # when run by hand; CTest says it itself
BINARY = os.environ.get("NSBOOT_LB_BINARY", BUILD / "nsboot-lb")
STANDIN = os.environ.get("NSBOOT_LB_STANDIN", BUILD / "nsboot-standin")
SANITIZED = bool(os.environ.get("NSBOOT_LB_SANITIZE"))
SANITIZER_REPORT = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error: ")


def await_true(condition, what, seconds=PATIENCE_SECONDS):
    """Polls until condition() gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Child:
    """A child process whose output is read as it comes, so that it never blocks on a full pipe."""

    def __init__(self, command, environment=None):
        self.command = [str(word) for word in command]
        self._lines = {"stdout": [], "stderr": []}
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})}, **self.popen_options())
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._lines]
        for reader in self._readers:
            reader.start()

    def popen_options(self):
        return {}

    def _read(self, name):
        with getattr(self.process, name) as stream:
            for line in stream:
                with self._news:
                    self._lines[name].append(line.decode(errors="replace").rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def lines(self, name):
        with self._news:
            return list(self._lines[name])

    def log(self):
        return "\n".join(self.lines("stdout")[-50:] + self.lines("stderr")[-200:])

    def await_match(self, name, pattern, seconds=PATIENCE_SECONDS):
        """The first match of the pattern in a line of that stream, waiting for the line if it is not there yet."""
        compiled = re.compile(pattern)
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            with self._news:
                for line in self._lines[name][seen:]:
                    match = compiled.search(line)
                    if match:
                        return match
                seen = len(self._lines[name])
                self._news.wait(timeout=0.1)
                ended = self.process.poll() is not None and seen == len(self._lines[name])
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{self.command[0]} did not say {pattern!r}; it said:\n{self.log()}")

    def await_exit(self, seconds=PATIENCE_SECONDS):
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command[0]} did not end within {seconds} s; it said:\n{self.log()}") from None
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.await_exit()
        if status != 0 or SANITIZER_REPORT.search(self.log()):
            raise AssertionError(f"{self.command[0]} ended with status {status}; it said:\n{self.log()}")


class Daemon(Child):
    """nsboot-lb with a configuration whose addresses have port 0. "$dir" in it stands for a directory of its own."""

    def __init__(self, config, environment=None, binary=BINARY):
        self._directory = tempfile.TemporaryDirectory(prefix="nsboot-lb-test-")
        self.directory = pathlib.Path(self._directory.name)
        self.write_config(config)
        super().__init__([binary, "--config", self.directory / "nsboot-lb.yaml"], environment)
        self.port = int(self.await_match("stderr", r"(?<!admin )listening on 127\.0\.0\.1:(\d+)")[1])
        self.admin_port = int(self.await_match("stderr", r"admin listening on 127\.0\.0\.1:(\d+)")[1])

    def write_config(self, text):
        (self.directory / "nsboot-lb.yaml").write_text(text.replace("$dir", str(self.directory)))

    def url(self, target):
        return f"http://127.0.0.1:{self.port}{target}"

    def peak_resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def access_log(self):
        return [json.loads(line) for line in self.lines("stdout") if line.startswith("{")]

    def stop(self, number=signal.SIGTERM):
        super().stop(number)
        self._directory.cleanup()

    def discard(self):
        """For a test that may have stopped it already, or wants to see it die."""
        if self.process.poll() is None:
            self.kill()
        self._directory.cleanup()


def proxy_config(*servers, access_log=True, workers="auto"):
    """A configuration with one listener, one pool of these servers and one route."""
    addresses = ", ".join(f'"{server}"' for server in servers)
    logging = "logging: {access: {target: stdout, format: json}}" if access_log else ""
    return f"""
workers: {workers}
listeners:
  - {{address: "127.0.0.1:0", name: main}}
pools:
  nsboot:
    balance: round-robin
    servers: [{addresses}]
routes:
  - pool: nsboot
admin: {{address: "127.0.0.1:0"}}
{logging}
"""


class Standin(Child):
    """A stand-in for an NSBoot server."""

    def __init__(self, hostname="nsboot-1"):
        super().__init__([STANDIN, "--address", "127.0.0.1:0", "--hostname", hostname])
        self.address = self.await_match("stdout", r"listening on (\S+)")[1]


class Nginx(Child):
    """Debian's nginx with the text of one server { } block, whose `listen` is added, and a log of connection numbers."""

    def __init__(self, server):
        self._directory = tempfile.TemporaryDirectory(prefix="nsboot-lb-test-")
        self.directory = pathlib.Path(self._directory.name)
        self.root = self.directory / "root"
        self.root.mkdir()
        # nginx cannot tell which port it was given, so it takes one that was free a moment ago.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        user = "user root;" if os.getuid() == 0 else ""
        temporary = "".join(f"{kind}_temp_path {self.directory}/{kind};"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.directory / "nginx.conf").write_text(f"""
daemon off; {user} worker_processes 1; pid {self.directory}/pid; error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    default_type application/octet-stream; {temporary}
    log_format connection '$connection $request_method $request_uri $status';
    access_log {self.directory}/access.log connection;
    server {{ listen {self.address}; root {self.root}; {server} }}
}}
""")
        super().__init__([shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.directory, "-e", "stderr",
                          "-c", self.directory / "nginx.conf"])
        host, port = self.address.split(":")
        await_true(lambda: self.process.poll() is not None or accepts(host, int(port)), "nginx accepts connections")
        if self.process.poll() is not None:
            raise AssertionError(f"nginx did not start; it said:\n{self.log()}")

    def requests(self):
        """What it served: a list of (connection, method, uri, status)."""
        return [tuple(line.split()) for line in (self.directory / "access.log").read_text().splitlines()]

    def stop(self, number=signal.SIGTERM):
        super().stop(number)
        self._directory.cleanup()


def accepts(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


class Finished:
    """A program that ran to its end, and what it said."""

    def __init__(self, process):
        self.status = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr.decode(errors="replace")

    @property
    def text(self):
        return self.stdout.decode(errors="replace")


def run(*command, data=None, seconds=120):
    """Runs a program to its end; `data` is its standard input."""
    words = [str(word) for word in command]
    source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    try:
        return Finished(subprocess.run(words, capture_output=True, timeout=seconds, check=False, **source))
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        raise AssertionError(f"{words[0]} did not end within {seconds} s; it said:\n{said}") from None


class RealTest(unittest.TestCase):
    """A test class whose programs, started by start(), are stopped in reverse order at its end."""

    def setUp(self):
        self.maxDiff = None

    @classmethod
    def start(cls, program, *arguments, **options):
        """start(Daemon, config): the running program; the class stops it."""
        child = program(*arguments, **options)
        cls.addClassCleanup(child.stop)
        return child


def main():
    """Runs the tests of the calling script, and leaves their count where tests/run looks for it."""
    program = unittest.main(module="__main__", verbosity=2, exit=False)
    result = program.result
    failed = [str(test) for test, _ in result.failures + result.errors]
    report = os.environ.get("NSBOOT_LB_REPORTS")
    if report:
        name = pathlib.Path(sys.argv[0]).stem
        counts = {"tests": max(result.testsRun, len(failed)), "failed_cases": failed}
        (pathlib.Path(report) / f"real_{name}.json").write_text(json.dumps(counts))
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
