"""A real iPXE, in QEMU, boots through the daemon: script, kernel, and the kernel runs."""

import re
import urllib.parse

from harness import Daemon, RealTest, Standin, await_true, main, proxy_config, run

ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1bc")
KERNEL_BYTES = 20_000_000


class IpxeTest(RealTest):
    @classmethod
    def setUpClass(cls):
        cls.standin = cls.start(Standin, "nsboot-5")
        cls.daemon = cls.start(Daemon, proxy_config(cls.standin.address))

    def boot(self, target, card):
        """What the machine said on its serial port until it switched itself off."""
        machine = run("qemu-system-x86_64", "-nographic", "-no-reboot", "-m", "256", "-accel", "tcg", "-boot", "n",
                      "-netdev", f"user,id=n,bootfile=http://10.0.2.2:{self.daemon.port}{target}",
                      "-device", f"{card},netdev=n", seconds=120)
        self.assertEqual(machine.status, 0, machine.stderr)
        return ESCAPES.sub("", machine.text)

    def logged(self, uri):
        """The access log's entry for that URI; the log is written in blocks, so it may take a moment. iPXE writes the
        colons of a query as %3A."""
        def entry():
            return next((entry for entry in self.daemon.access_log() if urllib.parse.unquote(entry["uri"]) == uri), None)
        return await_true(entry, f"an access log entry for {uri}")

    def check(self, target, card):
        console = self.boot(target, card)
        self.assertIn("NSBoot nsboot-5: script", console)
        self.assertIn(f"vmlinuz : {KERNEL_BYTES} bytes [bzImage] [SELECTED]", console)
        self.assertIn("NSBoot stand-in kernel runs", console)
        self.assertNotIn("boot failed", console)
        self.assertEqual(self.logged(target)["status"], 200)
        kernel = self.logged("/images/vmlinuz?size=20MB")
        self.assertEqual(kernel["status"], 200)
        self.assertGreaterEqual(kernel["bytes_sent"], KERNEL_BYTES)
        self.assertTrue(kernel["user_agent"].startswith("iPXE"), kernel)

    def test_boots_by_script(self):
        self.check("/boot/test.ipxe", "virtio-net-pci")

    def test_boots_by_the_script_of_its_machine(self):
        self.check("/api/boot/config?mac=52:54:00:12:34:56", "e1000")


if __name__ == "__main__":
    main()
