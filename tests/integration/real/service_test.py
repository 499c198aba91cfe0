"""The service as systemd sees it: what is told over NOTIFY_SOCKET (sd_notify(3)), sockets kept over a restart and sockets
passed at the start (sd_listen_fds(3)), the watchdog fed, and unit files that systemd accepts."""

import array
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request

from harness import BINARY, PATIENCE_SECONDS, Child, Daemon, RealTest, main, proxy_config
from upgrade_test import UpgradedDaemon

UNITS = pathlib.Path(__file__).resolve().parents[3] / "packaging" / "systemd"


class Manager(RealTest):
    """A test that is the daemon's service manager."""

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

    def daemon(self, config=None, kind=Daemon, **more):
        daemon = kind(config or proxy_config("127.0.0.1:9"), {**self.environment, **more})
        self.addCleanup(daemon.discard)
        return daemon

    def next_message(self):
        """The next notice as a dictionary, with the descriptors that came along under "descriptors"."""
        room = socket.CMSG_SPACE(16 * array.array("i").itemsize)
        text, ancillary, _, _ = self.manager.recvmsg(4096, room)
        message = dict(line.split("=", 1) for line in text.decode().splitlines())
        message["descriptors"] = []
        for _, _, data in ancillary:
            message["descriptors"] += array.array("i", data)
        for descriptor in message["descriptors"]:
            self.addCleanup(os.close, descriptor)
        return message

    def next_notice(self, *skip):
        """The next notice that is none of a watchdog's or of sockets to keep."""
        while True:
            notice = self.next_message()
            if not {"WATCHDOG", "FDSTORE", *skip} & notice.keys():
                return notice


class ServiceTest(Manager):
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

    def test_successor_becomes_the_main_process_and_feeds_the_watchdog(self):
        daemon = self.daemon(kind=UpgradedDaemon, WATCHDOG_USEC="200000", WATCHDOG_PID="1")
        self.assertEqual(self.next_notice()["READY"], "1")
        old = daemon.pid
        successor = daemon.upgrade()
        self.assertEqual(self.next_notice()["MAINPID"], str(successor))
        self.assertEqual(self.next_notice()["READY"], "1")
        self.assertEqual(daemon.await_end(old), 0)
        daemon.replaced = []
        while "WATCHDOG" not in self.next_message():
            pass
        daemon.stop()
        self.assertEqual(self.next_notice()["STOPPING"], "1")  # once: the process that was replaced was silent

    def test_feeds_the_watchdog(self):
        daemon = self.daemon(WATCHDOG_USEC="200000")
        for _ in range(3):
            while "WATCHDOG" not in self.next_message():
                pass
        daemon.stop()


CONFIG = """
workers: 2
listeners:
  - {address: "$address", name: main}
  - {address: "unix:$dir/listener.sock", name: local}
pools: {nsboot: {servers: ["127.0.0.1:9"]}}
routes:
  - {match: {path: /pid}, respond: {body: "served"}}
  - pool: nsboot
admin: {address: "127.0.0.1:0"}
"""


class KeptSocketsTest(Manager):
    """systemd's descriptor store (FDSTORE): a restart, or a crash, in which nobody is refused."""

    def stored(self, names):
        """What has been given to keep, by name, once all these have come."""
        kept = {}
        while set(kept) != names:
            message = self.next_message()
            if "FDSTORE" in message:
                kept.setdefault(message["FDNAME"], []).extend(message["descriptors"])
        return kept

    def passed(self, kept):
        """How systemd starts a process with these: numbers from 3 on, and two environment variables (and LISTEN_PID,
        which the process in between fills in)."""
        pairs = [(name, descriptor) for name, descriptors in kept.items() for descriptor in descriptors]
        return {"LISTEN_FDS": str(len(pairs)), "LISTEN_FDNAMES": ":".join(name for name, _ in pairs)}, [d for _, d in pairs]

    def restart(self, file, kept):
        environment, descriptors = self.passed(kept)
        parked = [os.dup2(descriptor, 200 + number, inheritable=True) for number, descriptor in enumerate(descriptors)]
        moves = " ".join(f"{3 + number}<&{descriptor} {descriptor}<&-" for number, descriptor in enumerate(parked))
        command = f'exec {moves}; LISTEN_PID=$$ exec "$0" --config "$1"'
        try:
            return Started(["bash", "-c", command, BINARY, file], {**self.environment, **environment}, parked)
        finally:
            for descriptor in parked:
                os.close(descriptor)

    def restart_before_clients(self, daemon, kept):
        """They come while nobody accepts, and still are not refused."""
        clients = [http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS) for _ in range(20)]
        for client in clients:
            client.request("GET", "/pid")
        next_one = self.restart(daemon.directory / "nsboot-lb.yaml", kept)
        self.addCleanup(next_one.stop)
        for client in clients:
            self.assertEqual(client.getresponse().read(), b"served")
            client.close()

    def test_restart_refuses_nobody(self):
        daemon = self.daemon(CONFIG.replace("$address", "127.0.0.1:0"))
        names = {"main 127.0.0.1_0", f"unix_{daemon.directory}/listener.sock", "admin"}
        kept = self.stored(names)
        self.assertEqual(len(kept["main 127.0.0.1_0"]), 2)  # one for each worker
        daemon.process.kill()  # a crash; a restart is no different
        daemon.process.wait()

        self.restart_before_clients(daemon, kept)
        answer = subprocess.run(["curl", "-sS", "--unix-socket", daemon.directory / "listener.sock", "http://nsboot/pid"],
                                capture_output=True, timeout=PATIENCE_SECONDS, check=True)
        self.assertEqual(answer.stdout, b"served")
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/healthz", timeout=PATIENCE_SECONDS) as health:
            self.assertEqual(health.status, 200)

    def test_stop_shuts_nobody_out_of_the_sockets_that_are_kept(self):
        daemon = self.daemon(CONFIG.replace("$address", "127.0.0.1:0"))
        kept = self.stored({"main 127.0.0.1_0", f"unix_{daemon.directory}/listener.sock", "admin"})
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.await_exit(), 0)
        self.restart_before_clients(daemon, kept)

    def test_socket_of_a_listener_that_a_reload_removes_is_kept_no_longer(self):
        text = CONFIG.replace("$address", "127.0.0.1:0")
        daemon = self.daemon(text)
        self.stored({"main 127.0.0.1_0", f"unix_{daemon.directory}/listener.sock", "admin"})
        daemon.write_config(text.replace('  - {address: "unix:$dir/listener.sock", name: local}\n', ""))
        daemon.process.send_signal(signal.SIGHUP)
        while True:
            message = self.next_message()
            if "FDSTOREREMOVE" in message:
                break
        self.assertEqual(message["FDNAME"], f"unix_{daemon.directory}/listener.sock")

    def follow_store(self, store, until):
        """Does to the store, inodes of sockets by name, what systemd would do, up to a notice of that kind."""
        while until not in (message := self.next_message()):
            if "FDSTORE" in message:
                store.setdefault(message["FDNAME"], set()).update(os.fstat(number).st_ino for number in message["descriptors"])
            elif "FDSTOREREMOVE" in message:
                store.pop(message["FDNAME"], None)

    def reload(self, daemon, text, store):
        daemon.write_config(text)
        daemon.process.send_signal(signal.SIGHUP)
        self.follow_store(store, "RELOADING")
        self.follow_store(store, "READY")

    def counts_at_the_stop(self, pid, store):
        os.kill(pid, signal.SIGTERM)
        self.follow_store(store, "STOPPING")
        return {name: len(sockets) for name, sockets in store.items()}

    def test_address_of_the_admin_listener_that_changes_leaves_no_socket_of_before(self):
        text = CONFIG.replace("$address", "127.0.0.1:0")
        daemon = self.daemon(text)
        store = {}
        for address in ("127.0.0.2:0", "127.0.0.3:0", "127.0.0.1:0"):
            self.reload(daemon, text.replace('admin: {address: "127.0.0.1:0"}', f'admin: {{address: "{address}"}}'), store)
        self.assertEqual(self.counts_at_the_stop(daemon.process.pid, store),
                         {"main 127.0.0.1_0": 2, f"unix_{daemon.directory}/listener.sock": 1, "admin": 1})

    def test_restart_leaves_no_socket_that_the_new_configuration_does_not_have(self):
        text = CONFIG.replace("$address", "127.0.0.1:0")
        daemon = self.daemon(text)
        kept = self.stored({"main 127.0.0.1_0", f"unix_{daemon.directory}/listener.sock", "admin"})
        daemon.process.kill()
        daemon.process.wait()
        daemon.write_config(text.replace('  - {address: "unix:$dir/listener.sock", name: local}\n', "")
                            .replace('admin: {address: "127.0.0.1:0"}', 'admin: {address: "127.0.0.2:0"}'))
        store = {name: {os.fstat(number).st_ino for number in numbers} for name, numbers in kept.items()}
        before = store["admin"]
        next_one = self.restart(daemon.directory / "nsboot-lb.yaml", kept)
        self.addCleanup(next_one.stop)
        self.assertEqual(self.counts_at_the_stop(next_one.process.pid, store), {"main 127.0.0.1_0": 2, "admin": 1})
        self.assertFalse(before & store["admin"])

    def test_hot_upgrade_leaves_no_socket_that_the_new_configuration_does_not_have(self):
        text = CONFIG.replace("$address", "127.0.0.1:0")
        daemon = self.daemon(text, kind=UpgradedDaemon)
        daemon.write_config(text.replace('  - {address: "unix:$dir/listener.sock", name: local}\n', ""))
        daemon.upgrade()
        self.assertEqual(self.counts_at_the_stop(daemon.pid, {}), {"main 127.0.0.1_0": 2, "admin": 1})

    def test_socket_file_outlives_the_daemon_only_if_somebody_keeps_the_socket(self):
        daemon = self.daemon(CONFIG.replace("$address", "127.0.0.1:0"))
        file = daemon.directory / "listener.sock"
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.await_exit(), 0)
        self.assertTrue(file.exists())
        self.environment = {}
        alone = self.daemon(CONFIG.replace("$address", "127.0.0.1:0"))
        file = alone.directory / "listener.sock"
        self.assertTrue(file.exists())
        alone.process.send_signal(signal.SIGTERM)
        self.assertEqual(alone.await_exit(), 0)
        self.assertFalse(file.exists())


class Started(Child):
    """A daemon that was passed sockets."""

    def __init__(self, command, environment, descriptors):
        self._passed = descriptors
        super().__init__(command, environment)
        self.await_match("stderr", r" info ready$")

    def popen_options(self):
        return {"pass_fds": self._passed}


class SocketActivationTest(RealTest):
    """systemd-socket-activate(1), systemd's own tool, listens and starts the daemon with the socket."""

    def activate(self, address, config_address):
        directory = tempfile.TemporaryDirectory(prefix="nsboot-lb-test-")
        self.addCleanup(directory.cleanup)
        file = pathlib.Path(directory.name) / "nsboot-lb.yaml"
        file.write_text(CONFIG.replace("$address", config_address).replace("$dir", directory.name))
        program = shutil.which("systemd-socket-activate") or "/usr/bin/systemd-socket-activate"
        child = Child([program, "-l", address, BINARY, "--config", file])
        self.addCleanup(child.stop)
        return child

    def test_socket_of_a_listener_is_used_and_a_client_that_came_early_is_served(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = "127.0.0.1:%d" % probe.getsockname()[1]
        child = self.activate(address, address)
        child.await_match("stderr", "Listening on")
        with urllib.request.urlopen(f"http://{address}/pid", timeout=PATIENCE_SECONDS) as response:
            self.assertEqual(response.read(), b"served")
        child.await_match("stderr", rf"info listening on {address} name=main")

    def test_socket_that_no_listener_wants_is_named_and_closed(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = "127.0.0.1:%d" % probe.getsockname()[1]
        child = self.activate(address, "127.0.0.1:0")
        child.await_match("stderr", "Listening on")
        with socket.create_connection(("127.0.0.1", int(address.split(":")[1])), timeout=PATIENCE_SECONDS) as client:
            child.await_match("stderr", rf"warn an inherited socket is of no listener address={address}")
            child.await_match("stderr", " info ready$")
            with self.assertRaises(ConnectionError):
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if not client.recv(100):
                    raise ConnectionError


class UnitFilesTest(RealTest):
    def test_systemd_accepts_them(self):
        """systemd-analyze verify(1), with the daemon of this build where the package would have put it."""
        with tempfile.TemporaryDirectory(prefix="nsboot-lb-test-") as directory:
            units = [pathlib.Path(directory) / unit.name for unit in UNITS.iterdir() if unit.suffix in (".service", ".socket")]
            self.assertTrue(units)
            for unit in units:
                unit.write_text((UNITS / unit.name).read_text().replace("/usr/sbin/nsboot-lb", str(BINARY)))
            verified = subprocess.run(["systemd-analyze", "verify", "--man=no", "--generators=no", *units],
                                      capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
            said = [line for line in verified.stderr.splitlines() if "nsboot-lb" in line]
            self.assertEqual((verified.returncode, said), (0, []), verified.stderr)


if __name__ == "__main__":
    main()
