"""What happens to the daemon while its clients ask: reloads, listeners that come and go, changed DNS answers, deaths of
servers, scrapes. Each goes on until it is cancelled, and leaves things whole.
"""

import asyncio
import os
import pathlib
import random

HOST_NAME = "nsboot.test"


class HostsFile:
    """What libnss-wrapper answers to the daemon. Each change has a time of its own: it looks at whole seconds."""

    def __init__(self, directory, hosts):
        self.path = pathlib.Path(directory) / "hosts"
        self.hosts = hosts
        self._time = 1_000_000_000
        self.write(hosts)

    def write(self, hosts):
        draft = self.path.with_suffix(".new")
        draft.write_text("".join(f"{host} {HOST_NAME}\n" for host in hosts))
        self._time += 10
        os.utime(draft, (self._time, self._time))
        draft.rename(self.path)

    def environment(self):
        return {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(self.path),
                "NSS_WRAPPER_DISABLE_DEEPBIND": "1", "RES_OPTIONS": "attempts:0"}


async def ask_admin(world, method, target):
    """(status, body)"""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.daemon.admin_port)
    try:
        lines = "Host: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n"
        writer.write(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body.decode()
    finally:
        writer.close()


async def reload_again_and_again(world):
    version = 0
    while True:
        version += 1
        world.daemon.write_config(world.config(version))
        status, said = await ask_admin(world, "POST", "/api/v1/reload")
        if status != 200:
            world.ledger.complain("reload", f"{status}: {said}")
        world.ledger.note("reload", str(status))
        await asyncio.sleep(random.uniform(0.1, 1))


async def change_names(world):
    try:
        while True:
            world.hosts.write(random.sample(world.hosts.hosts, random.randint(1, len(world.hosts.hosts))))
            world.ledger.note("names", "changed")
            await asyncio.sleep(random.uniform(0.2, 1))
    finally:
        world.hosts.write(world.hosts.hosts)


async def kill_servers(world):
    """One at a time, so that there is always one to go to."""
    while True:
        await asyncio.sleep(random.uniform(1, 3))
        server = random.choice(world.servers)
        server.die()
        world.ledger.note("servers", "died")
        try:
            await asyncio.sleep(random.uniform(0.1, 1))
        finally:
            await server.start()


async def scrape(world):
    while True:
        for target in ("/metrics", "/api/v1/status", "/healthz"):
            status, _ = await ask_admin(world, "GET", target)
            if status != 200:
                world.ledger.complain("admin", f"{target} answers {status}")
        world.ledger.note("admin", "asked")
        await asyncio.sleep(0.5)


ALL = (reload_again_and_again, change_names, kill_servers, scrape)
