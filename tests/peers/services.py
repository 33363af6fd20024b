"""Programs that people run beside the sandbox: Prometheus and Alertmanager, the tools, the Grafana stand-in."""

import http.server
import os
import re
import socket
import subprocess
import threading
import time

from sandbox import TOKEN

PROMETHEUS = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{target}']}}]}}]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}
"""

RULES = """
groups:
- name: hosts
  interval: 500ms
  rules:
"""

RULE = """
  - alert: {name}
    expr: "last_over_time({metric}[10s]) == 1"
    labels: {{severity: {severity}}}
    annotations: {{summary: "{summary}", description: "{description}"}}
"""

ALERTMANAGER = """
route: {{receiver: telegram, group_by: [alertname], group_wait: 300ms, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: telegram, webhook_configs: [{{url: '{webhook}', send_resolved: true}}]}}]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Target:
    """What Prometheus scrapes: metrics that are switched on and off."""

    def __init__(self, *names):
        self.on = dict.fromkeys(names, 0)
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = "".join(f"{name} {value}\n" for name, value in target.on.items()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Services:
    """Processes in a folder, each with its log, for the time of a `with`; a failure shows the logs."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        os.makedirs(folder, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for _, process in reversed(self.processes):
            process.terminate()
        for name, process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if kind:
                print(f"--- {name} said:\n{self.log(name)[-3000:]}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start(self, name, command, environment=None, **streams):
        with open(self.path(f"{name}.log"), "w", encoding="utf-8") as log:
            process = subprocess.Popen(command, stderr=log, env={**os.environ, **(environment or {})}, **streams)
        self.processes.append((name, process))
        return process

    def log(self, name):
        with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def says(self, name, pattern, seconds=30):
        """Waits until a log says this; the match."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.log(name))):
            assert time.monotonic() < deadline, f"{name} does not say {pattern}:\n{self.log(name)}"
            time.sleep(0.05)
        return found

    def pipeline(self, binaries, api, users):
        """am-recv | alert-route | tg-send; the URL of the webhook."""
        telegram = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": api}
        ack = self.path("ack.sock")
        recv = self.start("am-recv", [f"{binaries}/am-recv", "-p", "0", "--ack", ack], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
        route = [f"{binaries}/alert-route", "-u", users, "--ack", "--seen", self.path("seen.json")]
        route = self.start("alert-route", route, stdin=recv.stdout, stdout=subprocess.PIPE)
        self.start("tg-send", [f"{binaries}/tg-send", "--outbox", self.path("outbox.db"), "--ack", ack], telegram,
                   stdin=route.stdout, stdout=subprocess.DEVNULL)
        recv.stdout.close()
        route.stdout.close()
        return "http://" + self.says("am-recv", r"listening on (?:http://)?([\d.:]+)")[1] + "/"

    def bot(self, binaries, api, users, grafana):
        """tg-bot; the code with which its administrator pairs."""
        environment = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": api, **grafana}
        self.start("tg-bot", [f"{binaries}/tg-bot", "-v", "-u", users, "--state", self.path("bot.db"),
                              "--seen", self.path("seen.json")], environment)
        return self.says("tg-bot", r'"/start (\w+)"')[1]

    def grafana(self, binaries, *options):
        """The stand-in; its URL and token as the tools' environment."""
        command = [f"{binaries}/examples/grafana-standin", *options]
        process = self.start("grafana", command, stdout=subprocess.PIPE, text=True)
        return dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))

    def prometheus(self, webhook, target, rules):
        """A Prometheus with these rules, and an Alertmanager that posts to the webhook."""
        alertmanager = free_port()
        self.write("rules.yml", RULES + "".join(RULE.format(**rule) for rule in rules))
        config = self.write("prometheus.yml", PROMETHEUS.format(target=target.address, alertmanager=alertmanager))
        receiver = self.write("alertmanager.yml", ALERTMANAGER.format(webhook=webhook))
        self.start("alertmanager", ["prometheus-alertmanager", f"--config.file={receiver}", "--cluster.listen-address=",
                                    f"--storage.path={self.path('am')}", f"--web.listen-address=127.0.0.1:{alertmanager}"])
        self.start("prometheus", ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.path('tsdb')}",
                                  f"--web.listen-address=127.0.0.1:{free_port()}"])
