"""Everything at once for ten minutes: clients of all kinds, slow and hostile ones among them, reloads, changed DNS
answers, deaths of servers, uploads, tunnels, aborts. Afterwards the counters add up, nothing has grown, and nobody has
seen a byte that was another's.

    tests/long soak [--seconds 600] [--workers 2] [--without ACTOR]… [--only ACTOR]…

Two pauses, one after the warm-up and one at the end, in which nothing is asked: there the daemon is looked at.
"""

import argparse
import asyncio
import collections
import json
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "real"))

import actors  # noqa: E402
import trouble  # noqa: E402
from harness import Daemon  # noqa: E402
from ledger import Ledger  # noqa: E402
from servers import Server  # noqa: E402

HOSTS = ("127.0.0.31", "127.0.0.32", "127.0.0.33")
STEADY_HOST = "127.0.0.34"  # whose server never dies
TURN_SECONDS = 60      # no turn of an actor takes as long
QUIET_SECONDS = 30     # until everything that was begun has ended
GROWTH_BYTES = 16 << 20
GROWTH_SHARE = 0.1
GROWTH_DESCRIPTORS = 16  # pipes are kept for the next
SERVED_SHARE = 0.75    # of what is asked in plain ways, though servers die

CONFIG = """
workers: $workers
listeners:
  - {address: "127.0.0.1:0", name: main}
$listener
pools:
  main:
    balance: least-conn
    servers: [$servers]
    health_check: {path: /health, interval: 300ms, timeout: 2s}
    $common
  named: {balance: round-robin, servers: ["$name:$port"], resolve_interval: 200ms, $common}
  narrow:
    balance: random-two
    servers: [$narrow]
    queue_size: 64
    $common
  steady: {servers: ["$steady:$port"], $common}
routes:
  - {name: unwanted, match: {path: /unwanted}, respond: {body: "no, thank you"}}
  - {name: named, match: {path_prefix: /named}, pool: named, timeouts: {response: $response}}
  - {name: narrow, match: {path_prefix: /narrow}, pool: narrow, timeouts: {response: $response}}
  - {name: steady, match: {path_prefix: /steady}, pool: steady}
  - {name: main, pool: main, timeouts: {response: $response}}
timeouts: {header: 4s, idle: 60s, body: 20s, send: 5s$half_closed}
admin: {address: "127.0.0.1:0"}
logging: {level: info}
"""
COMMON = ("timeouts: {connect: 1s, response: 4s, idle: 4s, queue: 2s}, "
          "keepalive: {idle_timeout: 1s, max_lifetime: 3s}, passive_health: {fail_timeout: 1s}")


class World:
    """What the actors share. The gate is open while they may begin another turn."""

    def __init__(self, options, directory):
        self.options = options
        self.ledger = Ledger()
        self.servers = [Server(self.ledger, host) for host in HOSTS]
        self.steady = Server(self.ledger, STEADY_HOST)
        self.hosts = trouble.HostsFile(directory, HOSTS)
        self.passing_path = str(pathlib.Path(directory) / "passing")
        self.gate = asyncio.Event()
        self.at_work = 0
        self.daemon = None

    @property
    def port(self):
        return self.daemon.port

    def config(self, version):
        listener = f'  - {{address: "unix:{self.passing_path}", name: passing}}' if version % 2 else ""
        addresses = [f"{server.host}:{server.port}" for server in self.servers]
        weight = 1 + version % 2
        block = COMMON.replace(", keepalive", "\n    keepalive").replace(", passive", "\n    passive")
        text = CONFIG.replace("    $common", "    " + block).replace("$common", COMMON)
        words = {"workers": self.options.workers, "listener": listener, "name": trouble.HOST_NAME,
                 "steady": STEADY_HOST,
                 "port": self.servers[0].port, "response": f"{4 + version % 3}s",
                 "servers": ", ".join(f'{{address: "{each}", weight: {weight}}}' for each in addresses),
                 "narrow": ", ".join(f'{{address: "{each}", max_connections: 3}}' for each in addresses),
                 "half_closed": "" if "close_while_waiting" in self.options.without else ", half_closed: 1s"}
        for word, value in words.items():
            text = text.replace("$" + word, str(value))
        return text

    async def act(self, actor):
        """Turn after turn, for ever."""
        name = actor.__name__
        while True:
            await self.gate.wait()
            self.at_work += 1
            began = time.monotonic()
            try:
                await asyncio.wait_for(actor(self, name), TURN_SECONDS)
            except (OSError, asyncio.IncompleteReadError) as error:
                took = time.monotonic() - began
                self.ledger.complain(name, f"the connection ended without an answer after {took:.1f} s: {error!r}")
            except Exception as error:  # whatever it is, it ends one turn and not the soak
                self.ledger.complain(name, repr(error))
            finally:
                self.at_work -= 1

    async def metrics(self):
        """{name: sum over all samples}"""
        _, text = await trouble.ask_admin(self, "GET", "/metrics")
        sums = collections.Counter()
        for name, value in re.findall(r"^nsboot_lb_(\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
            sums[name] += float(value)
        return sums

    async def in_flight(self):
        _, text = await trouble.ask_admin(self, "GET", "/api/v1/pools")
        return sum(server["in_flight"] for pool in json.loads(text) for server in pool["servers"])

    def size(self):
        proc = pathlib.Path(f"/proc/{self.daemon.process.pid}")
        status = (proc / "status").read_text()
        return {"bytes": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10,
                "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
                "descriptors": len(list((proc / "fd").iterdir()))}


async def be_quiet(world):
    """Lets every turn end, and returns how large the daemon is once its gauges are at zero; complains if they stay."""
    world.gate.clear()
    deadline = time.monotonic() + TURN_SECONDS + 5
    while world.at_work and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    gauges = ("client_connections", "upstream_connections_active", "upstream_connections_idle", "tunnels_active",
              "queue_length")
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        metrics = await world.metrics()
        left = {name: metrics[name] for name in gauges if metrics[name]}
        if in_flight := await world.in_flight():
            left["in_flight"] = in_flight
        if metrics["requests_total"] != world.ledger.made:
            left["requests_total"] = f"{metrics['requests_total']:.0f}, of {world.ledger.made} that were made"
        if not left:
            break
        if time.monotonic() > deadline:
            world.ledger.complain("counters", str(left))
            world.ledger.made = metrics["requests_total"]  # said once
            break
        await asyncio.sleep(0.1)
    return world.size()


async def go_on(world, seconds):
    """Everything at once for so long."""
    world.gate.set()
    tasks = [asyncio.ensure_future(what(world)) for what in trouble.ALL if what.__name__ not in world.options.without]
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and world.daemon.process.poll() is None:
            await asyncio.sleep(0.2)
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if world.daemon.process.poll() is not None:
        raise AssertionError(f"the daemon ended with status {world.daemon.process.poll()}")


async def soak(options, directory):
    world = World(options, directory)
    for server in (*world.servers, world.steady):  # one name stands for all of them, so they have one port
        await server.start(world.servers[0].port)
    world.daemon = await asyncio.to_thread(Daemon, world.config(1), world.hosts.environment())
    crowd = [asyncio.ensure_future(world.act(actor)) for actor, count in actors.CROWD.items() for _ in range(count)
             if actor.__name__ not in options.without and (not options.only or actor.__name__ in options.only)]
    try:
        warm_up = min(60, options.seconds / 3)
        await go_on(world, warm_up)
        before = await be_quiet(world)
        await go_on(world, options.seconds - warm_up)
        after = await be_quiet(world)
        print(f"{world.ledger.made:.0f} requests; after the warm-up {before}, at the end {after}")
        for what, room in (("bytes", GROWTH_BYTES + GROWTH_SHARE * before["bytes"]), ("threads", 0),
                           ("descriptors", GROWTH_DESCRIPTORS)):
            if after[what] > before[what] + room:
                world.ledger.complain("growth", f"{after[what]} {what}, {before[what]} after the warm-up")
        await asyncio.to_thread(world.daemon.stop)
        for line in world.daemon.lines("stderr"):
            if " error " in line:
                world.ledger.complain("log", line)
        for actor in ("browse", "fresh", "pipeline", "upload"):
            outcomes = world.ledger.outcomes[actor]
            if outcomes["200"] < SERVED_SHARE * outcomes.total():
                world.ledger.complain(actor, f"too few were served: {dict(outcomes)}")
    except Exception as error:
        world.ledger.complain("soak", f"{error!r}; the daemon said:\n{world.daemon.log()}")
    finally:
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        world.daemon.discard()
    return world.ledger


def main():
    parser = argparse.ArgumentParser(prog="tests/long soak", description=__doc__.split("\n\n")[0])
    names = [actor.__name__ for actor in actors.CROWD]
    parser.add_argument("--seconds", type=float, default=600, help="how long it takes; default: 600")
    parser.add_argument("--workers", type=int, default=2, help="of the daemon; default: 2")
    parser.add_argument("--without", action="append", default=[], metavar="ACTOR",
                        choices=names + [what.__name__ for what in trouble.ALL], help="leave something out")
    parser.add_argument("--only", action="append", default=[], metavar="ACTOR", choices=names, help="of the clients")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nsboot-lb-soak-") as directory:
        ledger = asyncio.run(soak(options, directory))
    print(ledger.table())
    for complaint in ledger.complaints:
        print("WRONG  " + complaint)
    sys.exit(1 if ledger.complaints else 0)


if __name__ == "__main__":
    main()
