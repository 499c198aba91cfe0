#include "dashboard.hpp"

namespace nsboot_lb::admin {

namespace {

constexpr std::string_view page = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>nsboot-lb</title>
<link rel="stylesheet" href="/dashboard.css">
<script src="/dashboard.js" defer></script>
</head>
<body>
<header>
<h1>nsboot-lb</h1>
<p id="summary" role="status">Loading …</p>
</header>
<main>
<section aria-label="Figures" id="figures"></section>
<section aria-labelledby="pools-title"><h2 id="pools-title">Pools</h2><div id="pools"></div></section>
<section aria-labelledby="listeners-title"><h2 id="listeners-title">Listeners</h2><div id="listeners"></div></section>
</main>
<noscript>This page needs its script; <a href="/api/v1/status">the same figures as JSON</a>.</noscript>
</body>
</html>
)html";

constexpr std::string_view style = R"css(:root {
  --good: #1a7f37; --bad: #cf222e; --idle: #9a6700; --line: #8886; --soft: #8882;
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.5rem; max-width: 80rem; font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
#summary { margin: 0; }
#summary.bad { color: var(--bad); font-weight: 600; }
#figures { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1rem; }
.figure { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; min-width: 9rem; }
.figure b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { background: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); } .idle { color: var(--idle); }
.scroll { overflow-x: auto; }
)css";

constexpr std::string_view script = R"js("use strict";
const period = 2000;
let last = null;

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function table(columns, rows) {
  const head = element("tr", "", ...columns.map(c => element("th", c.number ? "number" : "", c.title)));
  const body = rows.map(row => element("tr", "", ...columns.map(c => {
    const value = c.value(row);
    return element("td", c.number ? "number" : "", value instanceof Node ? value : String(value));
  })));
  return element("div", "scroll", element("table", "", element("thead", "", head), element("tbody", "", ...body)));
}

function scaled(number, step, units) {
  let unit = 0;
  while (number >= step && unit + 1 < units.length) { number /= step; ++unit; }
  return (unit === 0 ? Math.round(number) : number.toFixed(1)) + units[unit];
}
const count = n => scaled(n, 1000, ["", " k", " M", " G"]);
const bytes = n => scaled(n, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);

function duration(seconds) {
  const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${seconds} s`;
}

function state(server) {
  const why = server.reason ? ": " + server.reason : "";
  if (!server.up) return element("span", "bad", "● " + server.standing + why);
  if (server.draining) return element("span", "idle", "● draining" + why);
  return element("span", "good", "● up" + (server.backup ? " (backup)" : ""));
}

const serverColumns = [
  {title: "Server", value: s => s.name},
  {title: "Address", value: s => s.address},
  {title: "State", value: state},
  {title: "Weight", number: true, value: s => s.weight},
  {title: "In flight", number: true, value: s => s.in_flight},
  {title: "Idle", number: true, value: s => s.connections_idle},
  {title: "Responses", number: true, value: s => count(s.requests)},
  {title: "Failures", number: true, value: s => count(s.failures)},
];
const listenerColumns = [
  {title: "Listener", value: l => l.name},
  {title: "Address", value: l => l.address},
  {title: "Connections", number: true, value: l => l.connections},
  {title: "Accepted", number: true, value: l => count(l.connections_total)},
  {title: "Received", number: true, value: l => bytes(l.received_bytes)},
  {title: "Sent", number: true, value: l => bytes(l.sent_bytes)},
];

function pool(p) {
  const note = `${p.balance}, ${p.tunnels} tunnels, ${p.queue_length} waiting, ${count(p.retries)} retries`;
  const title = element("h3", "", p.name, " ");
  title.append(p.available ? element("small", "", note) : element("small", "bad", "no server available; " + note));
  return [title, table(serverColumns, p.servers)];
}

const sum = (list, pick) => list.reduce((total, item) => total + pick(item), 0);

function figures(now, before, seconds) {
  const rate = pick => before && seconds > 0 ? Math.max(0, pick(now) - pick(before)) / seconds : null;
  const shown = (value, format) => value === null ? "…" : format(value);
  const figure = (label, value) => element("div", "figure", element("b", "", value), label);
  return [
    figure("requests/s", shown(rate(s => s.totals.requests), count)),
    figure("server errors/s", shown(rate(s => s.totals.server_errors), count)),
    figure("sent", shown(rate(s => sum(s.listeners, l => l.sent_bytes)), bytes) + "/s"),
    figure("received", shown(rate(s => sum(s.listeners, l => l.received_bytes)), bytes) + "/s"),
    figure("client connections", count(sum(now.listeners, l => l.connections))),
    figure("tunnels", count(sum(now.pools, p => p.tunnels))),
  ];
}

function summarise(status) {
  const parts = [`version ${status.version}`, `up ${duration(status.uptime_seconds)}`, `${status.workers} workers`,
                 status.config_file];
  if (status.draining) parts.unshift("draining");
  if (!status.last_reload_successful) parts.unshift("the last reload failed");
  show(parts.join(" · "), status.draining || !status.last_reload_successful);
}

function show(text, bad) {
  const summary = document.getElementById("summary");
  summary.textContent = text;
  summary.className = bad ? "bad" : "";
}

async function update() {
  try {
    const response = await fetch("/api/v1/status", {cache: "no-store", signal: AbortSignal.timeout(5000)});
    if (!response.ok) throw new Error("status " + response.status);
    const status = await response.json();
    const time = performance.now();
    summarise(status);
    const seconds = last ? (time - last.time) / 1000 : 0;
    document.getElementById("figures").replaceChildren(...figures(status, last && last.status, seconds));
    document.getElementById("pools").replaceChildren(...status.pools.flatMap(pool));
    document.getElementById("listeners").replaceChildren(table(listenerColumns, status.listeners));
    last = {status, time};
  } catch (error) {
    show("no answer from the daemon: " + error.message, true);
  }
  setTimeout(update, period);
}
update();
)js";

}  // namespace

std::string_view dashboard_type(DashboardFile file) {
    switch (file) {
        case DashboardFile::page: return "text/html; charset=utf-8";
        case DashboardFile::script: return "text/javascript; charset=utf-8";
        case DashboardFile::style: return "text/css; charset=utf-8";
    }
    return "";
}

std::string_view dashboard_text(DashboardFile file) {
    switch (file) {
        case DashboardFile::page: return page;
        case DashboardFile::script: return script;
        case DashboardFile::style: return style;
    }
    return "";
}

}  // namespace nsboot_lb::admin
