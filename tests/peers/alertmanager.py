"""Debian's Alertmanager with telegram_configs.api_url: the very sender that this project replaces."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

from sandbox import TOKEN, Sandbox

CONFIG = """
route: {{receiver: telegram, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
- name: telegram
  telegram_configs:
  - {{api_url: "{api}", bot_token: "{token}", chat_id: -501, parse_mode: HTML, send_resolved: true,
     message: "<b>{{{{ .Status }}}}</b> {{{{ .CommonLabels.alertname }}}} <a href=\\"http://a.example/\\">link</a>"}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fire(port, ends=None):
    alert = {"labels": {"alertname": "Disk <full> & hot", "severity": "page"}, "annotations": {"summary": "a < b"},
             "startsAt": "2026-01-01T00:00:00Z"}
    if ends:
        alert["endsAt"] = ends
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v2/alerts", json.dumps([alert]).encode())
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=5).close()


def main():
    folder = tempfile.mkdtemp(prefix="alertmanager-", dir=os.environ["PEERS_DIR"])
    port = free_port()
    with Sandbox("--strict") as sandbox:
        config = os.path.join(folder, "alertmanager.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(api=sandbox.api, token=TOKEN))
        with open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log:
            process = subprocess.Popen(["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder}",
                                        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="], stderr=log)
            try:
                deadline = time.monotonic() + 30
                while True:
                    try:
                        fire(port)
                        break
                    except OSError:
                        assert time.monotonic() < deadline, "Alertmanager does not start"
                        time.sleep(0.1)
                shown = sandbox.messages(-501, 1, 20_000)
                assert len(shown) == 1 and "Disk <full> & hot" in shown[0]["text"], shown
                assert [entity["type"] for entity in shown[0]["entities"]] == ["bold", "text_link"], shown
                fire(port, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
                shown = sandbox.messages(-501, 2, 20_000)
                assert len(shown) == 2 and "resolved" in shown[1]["text"], shown
                counts = sandbox.get("violations")["counts"]
                assert not any(counts.values()), counts
            except AssertionError:
                log.seek(0)
                print(log.read()[-3000:])
                raise
            finally:
                process.terminate()
                process.wait(20)
                shutil.rmtree(folder, ignore_errors=True)
    print("ok    Alertmanager")


main()
