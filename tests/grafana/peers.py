"""Clients that others wrote, against the Grafana stand-in: if they understand it, it speaks Grafana.

Run by tests/grafana/peers: peers.py STANDIN MCP_GRAFANA DASHBOARDS
"""

import base64
import json
import os
import struct
import subprocess
import sys

from grafana_client import GrafanaApi, TokenAuth
from grafana_client.client import (
    GrafanaClientError,
    GrafanaServerError,
    GrafanaUnauthorizedError,
)

STANDIN, MCP, DASHBOARDS = sys.argv[1:]
VERSIONS = {"8": "8.5.13", "10": "10.4.19", "12": "12.0.2", "13": "13.0.0"}


class Server:
    """The stand-in of one generation."""

    def __init__(self, generation, *options):
        command = [STANDIN, "--generation", generation, *options, DASHBOARDS]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip().split("=", 1)[1]
        self.token = self.process.stdout.readline().strip().split("=", 1)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Mcp:
    """mcp-grafana over stdin and stdout (JSON-RPC 2.0, a line a message)."""

    def __init__(self, server):
        # It would tell Grafana Labs that it runs; nothing may leave this machine.
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "GRAFANA_USAGE_STATS": "disabled"}
        environment |= {"DO_NOT_TRACK": "1", "GRAFANA_URL": server.url, "GRAFANA_SERVICE_ACCOUNT_TOKEN": server.token}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([MCP], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, text=True)
        self.count = 0
        client = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "peers", "version": "1"}}
        self.ask("initialize", client)
        self.send({"method": "notifications/initialized", "params": {}})

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.count += 1
        self.send({"id": self.count, "method": method, "params": params})
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.count:
                return answer["result"]
        raise RuntimeError("mcp-grafana is gone")

    def tool(self, tool, **arguments):
        """The first content of the answer, and whether it is an error."""
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        return result["content"][0], result.get("isError", False)

    def data(self, tool, **arguments):
        content, failed = self.tool(tool, **arguments)
        assert not failed, (tool, arguments, content)
        return json.loads(content["text"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def panels(elements):
    """Ids of all panels, those in closed rows too."""
    found = []
    for panel in elements:
        found += [panel["id"]] if panel.get("type") != "row" and "id" in panel else []
        found += panels(panel.get("panels") or [])
    return found


def with_grafana_client(generation, server):
    api = GrafanaApi.from_url(server.url, credential=TokenAuth(server.token))
    assert api.version == VERSIONS[generation], api.version
    assert api.health.check()["version"] == VERSIONS[generation]
    assert api.organization.get_current_organization()["name"] == "Main Org."
    hits = api.search.search_dashboards(type_="dash-db", limit=2)
    assert [hit["uid"] for hit in hits] == ["web-shop", "old-rows"], hits
    hits += api.search.search_dashboards(type_="dash-db", limit=2, page=2)
    assert [hit["uid"] for hit in hits] == ["web-shop", "old-rows", "city-net"], hits
    assert api.search.search_dashboards(type_="dash-db", limit=2, page=3) == []
    assert [hit["uid"] for hit in api.search.search_dashboards(query="mail")] == ["old-rows"]
    shop = api.dashboard.get_dashboard("web-shop")
    assert shop["meta"]["slug"] == "web-shop"
    assert sorted(panels(shop["dashboard"]["panels"])) == [2, 3, 4, 5, 5, 6, 7, 8, 9, 13]
    library = next(panel for panel in shop["dashboard"]["panels"] if panel.get("id") == 9)
    assert ("type" in library) == (generation == "8"), library
    refused(404, lambda: api.dashboard.get_dashboard("nothing"))
    refused(422, lambda: api.search.search_dashboards(limit=5001))
    if generation == "13":
        city = api.dashboard.get_dashboard("city-net")["dashboard"]
        assert sorted(panels(city["panels"])) == [21, 22, 23, 24, 26, 27], city
    else:
        refused(406 if generation == "12" else 404, lambda: api.dashboard.get_dashboard("city-net"))
    strange = lambda: api.search.search_dashboards(type_="strange")
    if generation in ("8", "10"):
        assert len(strange()) == 3
    else:
        refused(500, strange)
    wrong = GrafanaApi.from_url(server.url, credential=TokenAuth("glsa_wrong"))
    try:
        wrong.organization.get_current_organization()
        raise AssertionError("a wrong token was taken")
    except GrafanaUnauthorizedError:
        pass


def refused(status, call):
    try:
        answer = call()
    except (GrafanaClientError, GrafanaServerError) as error:
        assert error.status_code == status, (status, error.status_code, error)
        return
    raise AssertionError(f"not refused by {status}: {answer}")


def with_mcp_grafana(generation, server):
    with Mcp(server) as mcp:
        found = mcp.data("search_dashboards", query="shop")["dashboards"]
        assert [(hit["uid"], hit["folderTitle"]) for hit in found] == [("web-shop", "Files")], found
        summary = mcp.data("get_dashboard_summary", uid="web-shop")
        assert (summary["title"], summary["panels"][0]["title"]) == ("Web shop", "Orders"), summary
        content, failed = mcp.tool("get_dashboard_summary", uid="nothing")
        assert failed and "404" in content["text"], content
        if generation in ("12", "13"):
            city = mcp.data("get_dashboard_summary", uid="city-net")
            titles = sorted(panel["title"] for panel in city["panels"] if panel["title"])
            assert titles == ["Load of ring $ring", "Loss", "Loss", "Not placed", "Notes", "Traffic"], city
        arguments = {"dashboardUid": "web-shop", "panelId": 6, "width": 640, "height": 320}
        content, failed = mcp.tool("get_panel_image", **arguments)
        assert not failed and content["type"] == "image", content
        png = base64.b64decode(content["data"])
        assert png.startswith(b"\x89PNG") and struct.unpack(">II", png[16:24]) == (640, 320)


def main():
    for generation in VERSIONS:
        with Server(generation) as server:
            with_grafana_client(generation, server)
            with_mcp_grafana(generation, server)
        print(f"grafana-client and mcp-grafana work against the stand-in of Grafana {VERSIONS[generation]}")
    with Server("10", "--fault", "renderer-failed") as server, Mcp(server) as mcp:
        content, failed = mcp.tool("get_panel_image", dashboardUid="web-shop", panelId=6)
        assert failed, content
    print("mcp-grafana takes the stand-in's failure for one")


main()
