"""Hot upgrade (SIGUSR2) under wrk, with a download and a WebSocket that go on; and upgrades that come to nothing."""

import asyncio
import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.request

import websockets

from harness import (BINARY, PATIENCE_SECONDS, SANITIZER_REPORT, Daemon, RealTest, Standin, await_true, main)

UPGRADES = 20
REQUESTS_BETWEEN = 500  # at least, that each process serves before the next takes over
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Processes whose parent, the one that they replaced, has ended are children of this one from now on."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class UpgradedDaemon(Daemon):
    """A daemon that others take over from: the first process is `process`, the one that serves now is `pid`."""

    def __init__(self, config, environment=None, binary=BINARY):
        adopt_orphans()
        super().__init__(config, environment, binary)
        self.await_ready(0)
        self.pid = self.process.pid
        self.replaced = []

    def count(self, pattern):
        return sum(1 for line in self.lines("stderr") if re.search(pattern, line))

    def await_ready(self, before):
        await_true(lambda: self.count(r" info ready$") > before, "the daemon is ready")

    def upgrade(self):
        """Has a new process take over, and returns its process id."""
        ready, upgraded, failed = (self.count(text) for text in (r" info ready$", "upgraded: ", "upgrade failed"))
        os.kill(self.pid, signal.SIGUSR2)
        await_true(lambda: self.count("upgraded: ") > upgraded or self.count("upgrade failed") > failed,
                   "a new process serves")
        serving = [re.search(r"upgraded: .* pid=(\d+)", line) for line in self.lines("stderr")]
        found = [match for match in serving if match]
        if len(found) <= upgraded:
            raise AssertionError(f"the upgrade failed:\n{self.log()}")
        self.await_ready(ready)
        self.replaced.append(self.pid)
        self.pid = int(found[-1][1])
        return self.pid

    def await_end(self, pid):
        """Waits for a process to end, and returns its exit status."""
        if pid == self.process.pid:
            return self.process.wait(PATIENCE_SECONDS)
        return await_true(lambda: self.end_of(pid), f"process {pid} ends")[0]

    def end_of(self, pid):
        """(exit status,), or nothing while it runs. It is a child of the process that it replaced until that has ended."""
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
            return (os.waitstatus_to_exitcode(status),) if found == pid else None
        except ChildProcessError:
            if pathlib.Path(f"/proc/{pid}").exists():
                return None
            return (int(self.await_match("stderr", rf"the process that took over ended pid={pid} end=\"status (\d+)\"")[1]),)

    def stop(self, number=signal.SIGTERM):
        if self.pid != self.process.pid or self.process.poll() is None:
            os.kill(self.pid, number)
        left = {pid: self.await_end(pid) for pid in [*self.replaced, self.pid]}
        self.replaced = []
        self._directory.cleanup()
        if set(left.values()) != {0} or SANITIZER_REPORT.search(self.log()):
            raise AssertionError(f"the processes ended with {left}; they said:\n{self.log()}")


class Wrk:
    """wrk in the background, until stop(), which returns its report."""

    def __init__(self, daemon, target, *arguments):
        self.process = subprocess.Popen(
            ["wrk", "-t1", "-c16", "-d120s", "--timeout", "30s", *arguments, daemon.url(target)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # it reports what it has, and ends
        report, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        return report


def config(*servers, workers=2, extra=""):
    addresses = ", ".join(f'{{address: "{server}", name: s{number}}}' for number, server in enumerate(servers, 1))
    return f"""
workers: {workers}
listeners:
  - {{address: "127.0.0.1:0", name: main}}
  - {{address: "127.0.0.1:0", name: other}}
  - {{address: "unix:$dir/listener.sock", name: local}}
pools:
  nsboot:
    balance: round-robin
    servers: [{addresses}]
    health_check: {{path: /health, interval: 300ms, fall: 1}}
routes:
  - {{name: slow, match: {{path_prefix: /images/slow}}, pool: nsboot, bandwidth: {{per_client: 1MiB/s}}}}
  - {{name: all, pool: nsboot}}
admin: {{address: "127.0.0.1:0"}}
shutdown: {{drain_timeout: 2s}}
{extra}
"""


class UpgradeTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.standins = [cls.start(Standin, f"nsboot-{number}") for number in (1, 2)]

    def daemon(self, text=None, environment=None, binary=BINARY):
        text = text or config(*(standin.address for standin in self.standins))
        daemon = UpgradedDaemon(text, environment, binary)
        self.addCleanup(daemon.stop)
        return daemon

    def ask(self, daemon, target, method="GET", body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{daemon.admin_port}{target}", method=method, data=body)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return response.read().decode()

    def served(self, daemon):
        return json.loads(self.ask(daemon, "/api/v1/status"))["totals"]["requests"]

    def test_no_request_fails_in_twenty_upgrades_under_load(self):
        daemon = self.daemon()
        loads = [Wrk(daemon, "/health"), Wrk(daemon, "/images/a?size=20000"),
                 Wrk(daemon, "/health", "-H", "Connection: close")]
        for load in loads:
            self.addCleanup(load.process.kill)
        began = time.monotonic()
        for _ in range(UPGRADES):
            daemon.upgrade()
            await_true(lambda: self.served(daemon) >= REQUESTS_BETWEEN, "the new process has served some")
        took = time.monotonic() - began
        reports = [load.stop() for load in loads]
        for report in reports:
            self.assertNotIn("Non-2xx", report)
            self.assertNotIn("Socket errors", report)
            self.assertGreater(int(re.search(r"(\d+) requests in", report)[1]), 100 * UPGRADES, report)
        for pid in daemon.replaced:
            self.assertEqual(daemon.await_end(pid), 0)
        daemon.replaced = []
        served = sum(int(re.search(r"(\d+) requests in", report)[1]) for report in reports)
        print(f"{UPGRADES} upgrades in {took:.1f} s under {served} requests", flush=True)

    def test_download_and_websocket_go_on_in_the_process_that_is_replaced(self):
        daemon = self.daemon()
        size = 4 << 20  # takes four seconds, two more than the drain timeout
        with urllib.request.urlopen(f"http://{self.standins[0].address}/images/slow?size={size}", timeout=30) as direct:
            expected = direct.read()
        client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
        client.request("GET", f"/images/slow?size={size}")
        response = client.getresponse()
        begun = response.read(1000)

        async def scene():
            uri = f"ws://127.0.0.1:{daemon.port}/ws"
            async with websockets.connect(uri, open_timeout=PATIENCE_SECONDS, close_timeout=1) as socket:
                await socket.recv()
                await asyncio.get_running_loop().run_in_executor(None, daemon.upgrade)
                await socket.send("after the upgrade")
                self.assertEqual(await socket.recv(), "after the upgrade")
                await socket.wait_closed()  # at the drain timeout: it has no end of its own
                self.assertEqual(socket.close_code, 1001)

        asyncio.run(asyncio.wait_for(scene(), 2 * PATIENCE_SECONDS))
        first = daemon.replaced[0]
        self.assertIsNone(daemon.process.poll(), "the download is not over")
        self.assertEqual(begun + response.read(), expected)
        client.close()
        self.assertEqual(daemon.await_end(first), 0)

    def test_websocket_is_told_to_go_away_at_the_drain_timeout(self):
        daemon = self.daemon()

        async def scene():
            uri = f"ws://127.0.0.1:{daemon.port}/ws"
            async with websockets.connect(uri, open_timeout=PATIENCE_SECONDS) as socket:
                await socket.recv()
                await asyncio.get_running_loop().run_in_executor(None, daemon.upgrade)
                await socket.wait_closed()
                self.assertEqual(socket.close_code, 1001)
            async with websockets.connect(uri, open_timeout=PATIENCE_SECONDS) as socket:
                await socket.recv()

        asyncio.run(asyncio.wait_for(scene(), 2 * PATIENCE_SECONDS))
        self.assertEqual(daemon.await_end(daemon.replaced[0]), 0)

    def test_idle_connection_is_answered_once_more_and_told_to_close(self):
        daemon = self.daemon()
        client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
        client.request("GET", "/health")
        response = client.getresponse()
        response.read()
        self.assertIsNone(response.getheader("Connection"))
        daemon.upgrade()
        client.request("GET", "/health")
        response = client.getresponse()
        self.assertEqual((response.status, response.getheader("Connection")), (200, "close"))
        client.close()
        self.assertEqual(daemon.await_end(daemon.replaced[0]), 0)

    def test_state_of_servers_is_handed_on(self):
        down = Standin("nsboot-3")
        daemon = self.daemon(config(*(standin.address for standin in self.standins), down.address))
        down.stop()
        await_true(lambda: "unhealthy" in self.ask(daemon, "/api/v1/pools"), "the server is found down")
        self.ask(daemon, "/api/v1/pools/nsboot/servers/s1", "POST", b'{"state": "drain"}')
        self.ask(daemon, "/api/v1/pools/nsboot/servers/s2", "POST", b'{"weight": 7}')
        daemon.upgrade()
        servers = {server["name"]: server for server in json.loads(self.ask(daemon, "/api/v1/pools"))[0]["servers"]}
        self.assertEqual(servers["s1"]["standing"], "draining")
        self.assertEqual(servers["s2"]["weight"], 7)
        self.assertEqual((servers["s3"]["standing"], servers["s3"]["reason"]), ("unhealthy", "connection refused"))

    def test_sockets_are_shared_out_anew_among_more_and_fewer_workers(self):
        daemon = self.daemon()
        for workers in (4, 1, 3):
            daemon.write_config(config(*(standin.address for standin in self.standins), workers=workers))
            daemon.upgrade()
            # Each socket gets its share of connections: one that nobody accepts on would leave some of them hanging.
            for _ in range(64):
                client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
                client.request("GET", "/health")
                self.assertEqual(client.getresponse().status, 200)
                client.close()
            self.assertEqual(json.loads(self.ask(daemon, "/api/v1/status"))["workers"], workers)

    def test_files_of_unix_sockets_stay_until_the_last_process_leaves(self):
        daemon = self.daemon()
        file = daemon.directory / "listener.sock"
        daemon.upgrade()
        self.assertEqual(daemon.await_end(daemon.replaced.pop()), 0)
        self.assertTrue(file.exists())
        answer = subprocess.run(["curl", "-sS", "--unix-socket", file, "http://nsboot/health"], capture_output=True,
                                timeout=PATIENCE_SECONDS, check=True)
        self.assertTrue(answer.stdout)
        os.kill(daemon.pid, signal.SIGTERM)
        await_true(lambda: not file.exists(), "the file is gone with the daemon")

    def test_program_is_looked_up_again(self):
        """A package, or a link that is turned to another version: what stands there now is started."""
        daemon = self.daemon()
        link, copy = daemon.directory / "current", daemon.directory / "newer"
        link.symlink_to(BINARY)
        linked = self.daemon(binary=link)
        shutil.copy(BINARY, copy)
        link.unlink()
        link.symlink_to(copy)
        pid = linked.upgrade()
        self.assertEqual(os.readlink(f"/proc/{pid}/exe"), str(copy))

    def test_successor_has_no_descriptor_that_it_does_not_know(self):
        daemon = self.daemon()
        descriptors = lambda: len(list(pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir()))
        before = descriptors()
        for _ in range(3):
            daemon.upgrade()
        # The channel between the two is closed when both have said that they are done.
        await_true(lambda: descriptors() <= before, f"a successor has no more than {before} descriptors")

    def expect_failed_upgrade(self, daemon):
        failures = daemon.count("upgrade failed, this process goes on serving")
        os.kill(daemon.pid, signal.SIGUSR2)
        await_true(lambda: daemon.count("upgrade failed, this process goes on serving") > failures, "the failure is logged")
        self.assertEqual(urllib.request.urlopen(daemon.url("/health"), timeout=PATIENCE_SECONDS).status, 200)
        self.assertIn("workers", self.ask(daemon, "/api/v1/status"))
        self.assertFalse(daemon.count("upgraded: "))

    def test_broken_configuration_leaves_the_old_process_serving(self):
        daemon = self.daemon()
        good = (daemon.directory / "nsboot-lb.yaml").read_text()
        daemon.write_config(good + "nonsense: 1\n")
        self.expect_failed_upgrade(daemon)
        daemon.await_match("stderr", r"nsboot-lb\.yaml:\d+:1: error: ")
        daemon.await_match("stderr", r"upgrade failed.* end=\"?status 1")
        daemon.write_config(good)
        daemon.upgrade()

    def test_missing_program_leaves_the_old_process_serving(self):
        keeper = self.daemon()
        program = keeper.directory / "program"
        shutil.copy(BINARY, program)
        daemon = self.daemon(binary=program)
        program.unlink()
        self.expect_failed_upgrade(daemon)
        daemon.await_match("stderr", r"upgrade failed.* error=\"No such file")

    def test_another_program_in_its_place_is_not_taken_for_serving(self):
        keeper = self.daemon()
        program = keeper.directory / "program"
        shutil.copy(BINARY, program)
        daemon = self.daemon(binary=program)
        program.unlink()
        program.write_text("#!/bin/sh\nexit 7\n")
        program.chmod(0o755)
        self.expect_failed_upgrade(daemon)
        daemon.await_match("stderr", r"upgrade failed.* end=\"?status 7")

    def test_stop_while_the_successor_starts_ends_both(self):
        keeper = self.daemon()
        program = keeper.directory / "program"
        shutil.copy(BINARY, program)
        daemon = self.daemon(binary=program)
        program.unlink()
        program.write_text("#!/bin/sh\nkill -STOP $$\n")
        program.chmod(0o755)
        os.kill(daemon.pid, signal.SIGUSR2)
        successor = int(daemon.await_match("stderr", r"the new process starts pid=(\d+)")[1])
        os.kill(daemon.pid, signal.SIGUSR2)
        daemon.await_match("stderr", "not upgrading: an upgrade is going on")
        os.kill(daemon.pid, signal.SIGTERM)
        self.assertEqual(daemon.await_end(daemon.pid), 0)
        await_true(lambda: not pathlib.Path(f"/proc/{successor}").exists() or daemon.end_of(successor), "the successor ends")

    def held_program(self):
        """(daemon, let it go on): a daemon whose successor does not begin before it is let go on."""
        keeper = self.daemon()
        program = keeper.directory / "program"
        shutil.copy(BINARY, program)
        daemon = self.daemon(binary=program)
        program.unlink()
        gate = keeper.directory / "gate"
        os.mkfifo(gate)
        program.write_text(f'#!/bin/sh\nread -r what < {gate}\n[ "$what" = go ] || exit 7\nexec {BINARY} "$@"\n')
        program.chmod(0o755)
        # Handed on by exec: the process keeps its number, by which it knows that it is meant.
        return daemon, lambda word: gate.write_text(word + "\n")

    def ask_for_a_reload(self, daemon):
        """A connection on which the answer is to come."""
        client = http.client.HTTPConnection("127.0.0.1", daemon.admin_port, timeout=PATIENCE_SECONDS)
        client.request("POST", "/api/v1/reload")
        self.addCleanup(client.close)
        self.ask(daemon, "/healthz")  # one after the other: the control thread has the request
        return client

    def begin_upgrade(self, daemon):
        os.kill(daemon.pid, signal.SIGUSR2)
        return int(daemon.await_match("stderr", r"the new process starts pid=(\d+)")[1])

    def test_reload_waits_for_an_upgrade_that_fails(self):
        daemon, let_go_on = self.held_program()
        self.begin_upgrade(daemon)
        client = self.ask_for_a_reload(daemon)
        self.assertFalse(daemon.count("configuration reloaded"))
        let_go_on("fail")
        self.assertEqual(client.getresponse().status, 200)
        daemon.await_match("stderr", "configuration reloaded")
        lines = daemon.log()
        self.assertLess(lines.index("upgrade failed"), lines.index("configuration reloaded"))

    def test_reload_that_waited_for_an_upgrade_is_refused_when_that_succeeds(self):
        daemon, let_go_on = self.held_program()
        successor = self.begin_upgrade(daemon)
        clients = [self.ask_for_a_reload(daemon) for _ in range(3)]
        os.kill(daemon.pid, signal.SIGHUP)
        let_go_on("go")
        for client in clients:
            answer = client.getresponse()
            self.assertEqual(answer.status, 422)
            self.assertIn("draining, its configuration stays as it is", answer.read().decode())
        self.assertFalse(daemon.count("configuration reloaded"))
        daemon.await_ready(1)
        daemon.replaced.append(daemon.pid)
        daemon.pid = successor

    def test_leaving_process_is_no_longer_reloaded_and_can_be_told_to_hurry(self):
        daemon = self.daemon()
        client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
        client.request("GET", "/images/slow?size=1000000000")
        client.getresponse().read(1000)
        daemon.upgrade()
        old = daemon.replaced[0]
        os.kill(old, signal.SIGHUP)
        daemon.await_match("stderr", "the daemon is draining, its configuration stays as it is")
        os.kill(old, signal.SIGUSR2)
        daemon.await_match("stderr", "not upgrading: this process is about to end")
        os.kill(old, signal.SIGTERM)  # sets the drain timeout, 2 s, to a download that would take a quarter of an hour
        self.assertEqual(daemon.await_end(old), 0)
        client.close()


if __name__ == "__main__":
    main()
