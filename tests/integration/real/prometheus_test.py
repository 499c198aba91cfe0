"""Debian's prometheus scrapes the daemon: counts, a reload, the alert rules and the dashboard of packaging/."""

import http.client
import json
import pathlib
import re
import signal
import socket
import tempfile
import threading
import urllib.parse

import jsonschema
import yaml

from dashboard_schema import DASHBOARD
from harness import PATIENCE_SECONDS, SANITIZED, Child, Daemon, RealTest, Standin, await_true, main, run

ROOT = pathlib.Path(__file__).resolve().parents[3]
RULES = ROOT / "packaging/prometheus/nsboot-lb.rules.yaml"
RULES_TEST = ROOT / "packaging/prometheus/nsboot-lb.rules.test.yaml"
DASHBOARD_FILE = ROOT / "packaging/grafana/nsboot-lb.json"
OPERATIONS = ROOT / "docs/operations.md"
LATER = {"nsboot_lb_tls_certificate_not_after_timestamp_seconds"}  # with the first listener that speaks TLS
METRIC = re.compile(r"\b(?:nsboot_lb|process)_[a-z_]+")


class Prometheus(Child):
    """Scrapes one target twice a second, and evaluates the alert rules as often."""

    def __init__(self, target):
        self._directory = tempfile.TemporaryDirectory(prefix="nsboot-lb-test-")
        directory = pathlib.Path(self._directory.name)
        (directory / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: ["{RULES}"]
scrape_configs: [{{job_name: nsboot-lb, static_configs: [{{targets: ["{target}"]}}]}}]
""")
        # It does not say which port it was given, so it takes one that was free a moment ago.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        super().__init__(["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                          f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"])
        await_true(lambda: self.process.poll() is not None or self._is_ready(), "prometheus is ready")
        if self.process.poll() is not None:
            raise AssertionError(f"prometheus did not start; it said:\n{self.log()}")

    def _is_ready(self):
        try:
            return self._get("/-/ready")[0] == 200
        except OSError:
            return False

    def _get(self, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ask(self, target):
        """What the HTTP API answers; an error of a query is one of the test."""
        answer = json.loads(self._get("/api/v1/" + target)[1])
        if answer["status"] != "success":
            raise AssertionError(f"{target}: {answer}")
        return answer["data"]

    def query(self, expression):
        """The samples of an instant query: a list of (labels, value)."""
        data = self.ask("query?" + urllib.parse.urlencode({"query": expression}))
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def value(self, expression):
        """The value of a query that gives one sample; None while there is none."""
        samples = self.query(expression)
        return samples[0][1] if len(samples) == 1 else None

    def await_value(self, expression, value):
        last = []
        try:
            await_true(lambda: last.append(self.value(expression)) or last[-1] == value, f"{expression} is {value}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}; it is {last[-1]}") from None

    def stop(self, number=signal.SIGTERM):
        super().stop(number)
        self._directory.cleanup()


CONFIG = """
workers: 2
listeners: [{{address: "127.0.0.1:0", name: main}}]
pools:
  nsboot:
    balance: round-robin
    servers: [{{address: "{one}", name: nsboot-1}}, {{address: "{two}", name: nsboot-2}}, {{address: "{dead}", name: nsboot-3}}]
    health_check: {{path: /health, interval: 200ms, fall: 2}}
  flaky: {{servers: [{{address: "{dead}", name: gone}}, {{address: "{one}", name: here}}], passive_health: {{max_fails: 0}}}}
  fresh: {{servers: [{{address: "{one}", name: one}}], keepalive: {{max_idle: 0}}}}
  broken: {{servers: [{{address: "{dead}", name: gone}}], passive_health: {{max_fails: 0}}}}
routes:
  - {{name: counted, match: {{path_prefix: /counted}}, rewrite: {{strip_prefix: /counted}}, pool: nsboot}}
  - {{name: flaky, match: {{path_prefix: /flaky}}, rewrite: {{strip_prefix: /flaky}}, pool: flaky}}
  - {{name: fresh, match: {{path_prefix: /fresh}}, rewrite: {{strip_prefix: /fresh}}, pool: fresh}}
  - {{name: broken, match: {{path_prefix: /broken}}, pool: broken}}
  - {{name: all, pool: nsboot}}
logging: {{access: {{target: stdout, format: json}}}}
admin: {{address: "127.0.0.1:0"}}
"""


class Traffic:
    """Requests of every kind until it is stopped, beside an open WebSocket."""

    TARGETS = ("/health", "/images/vmlinuz?size=100KiB", "/nothing", "/flaky/health", "/fresh/health", "/broken")

    def __init__(self, port):
        self._port = port
        self._stopping = threading.Event()
        self._tunnel = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._tunnel.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        if b" 101 " not in self._tunnel.recv(4096):
            raise AssertionError("the stand-in made no WebSocket")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping.wait(0.02):
            client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
            for target in self.TARGETS:
                client.request("GET", target)
                client.getresponse().read()
            client.close()

    def stop(self):
        self._stopping.set()
        self._thread.join(PATIENCE_SECONDS)
        self._tunnel.close()


def panel_expressions_of(dashboard):
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def expressions_of(dashboard):
    """(title, expression) of everything that a dashboard asks for."""
    return panel_expressions_of(dashboard) + [(annotation["name"], annotation["expr"])
                                              for annotation in dashboard["annotations"]["list"]]


def filled_in(expression):
    """With values for the variables that Grafana puts in."""
    return re.sub(r"\$(instance|route|pool|server)\b", ".*", expression).replace("$__rate_interval", "5s")


def metrics_in(expression):
    """The families that are asked for, by the names that a scrape has."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) if "_seconds_" in name else name for name in METRIC.findall(expression)}


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def first_cells(text, heading):
    """The words in backticks in the first column of the tables under a heading of a document."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    return [name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]


class PrometheusTest(RealTest):
    @classmethod
    def setUpClass(cls):
        standins = [cls.start(Standin, f"nsboot-{number}") for number in (1, 2)]
        dead = socket.socket()  # bound, not listening: connections are refused
        cls.addClassCleanup(dead.close)
        dead.bind(("127.0.0.1", 0))
        cls.config = CONFIG.format(one=standins[0].address, two=standins[1].address, dead="127.0.0.1:%d" % dead.getsockname()[1])
        cls.daemon = cls.start(Daemon, cls.config)
        cls.prometheus = cls.start(Prometheus, f"127.0.0.1:{cls.daemon.admin_port}")
        traffic = Traffic(cls.daemon.port)
        cls.addClassCleanup(traffic.stop)
        cls.dashboard = json.loads(DASHBOARD_FILE.read_text())

    def scrape(self):
        client = http.client.HTTPConnection("127.0.0.1", self.daemon.admin_port, timeout=PATIENCE_SECONDS)
        client.request("GET", "/metrics")
        text = client.getresponse().read()
        client.close()
        return text

    def families(self):
        return set(re.findall(r"^# TYPE (\S+) ", self.scrape().decode(), re.MULTILINE))

    def request(self, target, count):
        client = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=PATIENCE_SECONDS)
        for _ in range(count):
            client.request("GET", target)
            client.getresponse().read()
        client.close()

    # --- Prometheus ---

    def test_target_is_up(self):
        self.prometheus.await_value('up{job="nsboot-lb"}', 1)
        await_true(lambda: any(target["health"] == "up" and target["lastError"] == ""
                               for target in self.prometheus.ask("targets")["activeTargets"]), "the target is up")

    def test_promtool_has_no_complaint_about_a_scrape(self):
        checked = run("promtool", "check", "metrics", data=self.scrape())
        self.assertEqual((checked.status, checked.text, checked.stderr), (0, "", ""))

    def test_counts_are_right_and_survive_a_reload(self):
        self.request("/counted/health", 30)
        self.request("/counted/nothing", 12)
        counted = 'nsboot_lb_requests_total{route="counted",method="GET",code="%s"}'
        self.prometheus.await_value(counted % "2xx", 30)
        self.prometheus.await_value(counted % "4xx", 12)
        self.prometheus.await_value('nsboot_lb_request_duration_seconds_count{route="counted"}', 42)
        self.prometheus.await_value('nsboot_lb_request_duration_seconds_bucket{route="counted",le="+Inf"}', 42)
        await_true(lambda: sum(entry["route"] == "counted" for entry in self.daemon.access_log()) == 42, "42 lines are logged")

        reloads = self.prometheus.value('nsboot_lb_config_reloads_total{result="success"}')
        self.daemon.process.send_signal(signal.SIGHUP)
        self.prometheus.await_value('nsboot_lb_config_reloads_total{result="success"}', reloads + 1)
        self.request("/counted/health", 5)
        self.prometheus.await_value(counted % "2xx", 35)
        self.prometheus.await_value(counted % "4xx", 12)
        for family in ("requests_total", "request_duration_seconds_count", "client_connections_total", "sent_bytes_total",
                       "upstream_requests_total", "upstream_failures_total", "upstream_retries_total", "rejected_total",
                       "health_checks_total", "config_reloads_total"):
            went_back = self.prometheus.query(f"resets(nsboot_lb_{family}[10m])")
            self.assertTrue(went_back)
            self.assertEqual([labels for labels, resets in went_back if resets != 0], [])

    # --- Alert rules ---

    def test_rules_are_what_promtool_accepts(self):
        checked = run("promtool", "check", "rules", RULES)
        self.assertEqual(checked.status, 0, checked.text + checked.stderr)

    def test_each_alert_fires_and_stays_silent(self):
        tested = run("promtool", "test", "rules", RULES_TEST)
        self.assertEqual(tested.status, 0, tested.text + tested.stderr)
        fires, silent = set(), set()
        for case in yaml.safe_load(RULES_TEST.read_text())["tests"]:
            for expected in case["alert_rule_test"]:
                (fires if expected["exp_alerts"] else silent).add(expected["alertname"])
        alerts = {rule["alert"] for rule in rules()}
        self.assertEqual((fires, silent), (alerts, alerts))

    def test_rules_can_be_evaluated_and_say_what_is_the_case(self):
        def states():
            loaded = [rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]]
            return {rule["name"]: (rule["health"], rule["state"]) for rule in loaded}

        await_true(lambda: all(health == "ok" for health, _ in states().values()), "every rule was evaluated")
        await_true(lambda: states()["NsbootLbServerDown"][1] in ("pending", "firing"), "nsboot-3 is noticed")
        await_true(lambda: states()["NsbootLbErrorRatio"][1] in ("pending", "firing"), "route broken is noticed")
        for quiet in ("NsbootLbDown", "NsbootLbNoServerAvailable", "NsbootLbReloadFailed", "NsbootLbAccessLogLosesLines",
                      "NsbootLbConnectionsNearLimit", "NsbootLbQueueFilling", "NsbootLbCertificateExpires"):
            self.assertEqual(states()[quiet], ("ok", "inactive"), quiet)

    # --- The dashboard ---

    def test_dashboard_has_the_shape_that_grafana_expects(self):
        jsonschema.validate(self.dashboard, DASHBOARD)
        panels = self.dashboard["panels"]
        ids = [panel["id"] for panel in panels]
        self.assertEqual(len(ids), len(set(ids)))
        taken = {}
        for panel in panels:
            grid = panel["gridPos"]
            self.assertLessEqual(grid["x"] + grid["w"], 24, panel["title"])
            for x in range(grid["x"], grid["x"] + grid["w"]):
                for y in range(grid["y"], grid["y"] + grid["h"]):
                    self.assertNotIn((x, y), taken, f"{panel['title']} lies over {taken.get((x, y))}")
                    taken[x, y] = panel["title"]
            references = [target["refId"] for target in panel.get("targets", [])]
            self.assertEqual(len(references), len(set(references)), panel["title"])
        variables = {variable["name"] for variable in self.dashboard["templating"]["list"]}
        self.assertEqual(variables, {"datasource", "instance", "route", "pool", "server"})
        for title, expression in expressions_of(self.dashboard):
            self.assertLessEqual(set(re.findall(r"\$(?!__)(\w+)", expression)), variables, title)

    def test_promtool_accepts_every_expression_of_the_dashboard(self):
        queries = [{"record": f"dashboard:{number}", "expr": filled_in(expression)}
                   for number, (_, expression) in enumerate(expressions_of(self.dashboard))]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}, file)
            file.flush()
            checked = run("promtool", "check", "rules", file.name)
        self.assertEqual(checked.status, 0, checked.text + checked.stderr)

    def test_every_panel_of_the_dashboard_has_data(self):
        def without_data():
            return [(title, expression) for title, expression in panel_expressions_of(self.dashboard)
                    if not any(value == value for _, value in self.prometheus.query(filled_in(expression)))]

        last = []
        try:
            await_true(lambda: last.append(without_data()) or not last[-1], "every expression has data")
        except AssertionError as failure:
            raise AssertionError(f"{failure}; without any are {last[-1]}") from None

    def test_annotations_of_the_dashboard_mark_reloads_and_no_restart(self):
        annotations = {annotation["name"]: filled_in(annotation["expr"]) for annotation in self.dashboard["annotations"]["list"]}
        await_true(lambda: self.prometheus.query("nsboot_lb_build_info"), "there is a scrape from before")
        self.daemon.process.send_signal(signal.SIGHUP)
        await_true(lambda: self.prometheus.query(annotations["Reloads"]), "the reload is marked")
        self.assertEqual(self.prometheus.query(annotations["Restarts"]), [])

    def test_variables_of_the_dashboard_have_values(self):
        values = {"instance": {f"127.0.0.1:{self.daemon.admin_port}"}, "route": {"counted", "flaky", "fresh", "broken", "all", "none"},
                  "pool": {"nsboot", "flaky", "fresh", "broken"}, "server": {"nsboot-1", "nsboot-2", "nsboot-3", "gone", "here", "one"}}
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
            found = {labels[label] for labels, _ in self.prometheus.query(filled_in(selector))}
            self.assertEqual(found, values[variable["name"]])

    # --- What could drift apart ---

    def test_rules_and_dashboard_ask_for_metrics_that_exist(self):
        known = self.families() | LATER
        for rule in rules():
            self.assertLessEqual(metrics_in(rule["expr"]), known, rule["alert"])
        for title, expression in expressions_of(self.dashboard):
            self.assertLessEqual(metrics_in(expression), known, title)

    def test_document_has_all_metrics_reasons_and_alerts(self):
        text = OPERATIONS.read_text()
        self.assertEqual(sorted(first_cells(text, "Metrics")), sorted(self.families()))
        self.assertEqual(sorted(first_cells(text, "Alerts")), sorted(rule["alert"] for rule in rules()))
        reasons = re.findall(r'^nsboot_lb_rejected_total\{reason="(\w+)"\}', self.scrape().decode(), re.MULTILINE)
        self.assertEqual(sorted(first_cells(text, "Reasons")), sorted(reasons))


class LargeScrapeTest(RealTest):
    """50 pools of 20 servers: 60,000 lines."""

    def test_takes_less_than_50_ms(self):
        pools = "\n".join(
            f"  pool-{pool}: {{servers: [" + ", ".join(f'"127.1.{pool}.{server}:9"' for server in range(1, 21)) + "]}"
            for pool in range(50))
        daemon = self.start(Daemon, f"""
workers: 2
listeners: [{{address: "127.0.0.1:0"}}]
pools:
{pools}
routes: [{", ".join(f"{{name: route-{pool}, match: {{path_prefix: /{pool}}}, pool: pool-{pool}}}" for pool in range(50))}]
admin: {{address: "127.0.0.1:0"}}
""")
        url = f"http://127.0.0.1:{daemon.admin_port}/metrics"
        seconds = []
        for _ in range(20):
            got = run("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{size_download} %{time_total}", url)
            status, size, took = got.text.split()
            self.assertEqual(status, "200")
            self.assertGreater(int(size), 4_000_000)
            seconds.append(float(took))
        # The best of them: a busy machine takes its time from any.
        self.assertLess(min(seconds), 1.0 if SANITIZED else 0.050, seconds)


if __name__ == "__main__":
    main()
