"""Starts tg-sandbox and talks to it. Standard library only: every peer script uses it."""

import json
import os
import subprocess
import urllib.error
import urllib.request

TOKEN = "123456:peer-test_TOKEN"
WORLD = {
    "chats": [
        {"id": 1001, "type": "private", "first_name": "Ada"},
        {"id": -501, "type": "group", "title": "Ops"},
        {"id": -1001000000001, "type": "supergroup", "title": "On call", "is_forum": True, "threads": {"7": "Alerts"}},
    ],
    "users": [
        {"id": 1001, "first_name": "Ada", "username": "ada", "language_code": "en"},
        {"id": 1002, "first_name": "Борис"},
    ],
}


class Sandbox:
    """A sandbox for the time of a `with`."""

    def __init__(self, *options, world=WORLD):
        self.options = list(options)
        self.world = world

    def __enter__(self):
        binary = os.environ["TG_SANDBOX"]
        self.world_file = os.path.join(os.environ["PEERS_DIR"], f"world-{os.getpid()}.json")
        with open(self.world_file, "w", encoding="utf-8") as file:
            json.dump(self.world, file)
        command = [binary, "--world", self.world_file, "--token", TOKEN, "--max-seconds", "900", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        ports = dict(word.split("=") for word in words[1:])
        self.api = f"http://{ports['api']}"
        self.ctl = f"http://{ports['ctl']}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.summary = json.loads(self.process.stdout.read())
        self.process.wait(60)
        os.unlink(self.world_file)

    def post(self, call, body=None):
        """A call of the control API."""
        return fetch(f"{self.ctl}/{call}", json.dumps(body or {}).encode())

    def get(self, call):
        return fetch(f"{self.ctl}/{call}")

    def bot(self, method, **params):
        """A call of the Bot API; its result."""
        request = urllib.request.Request(f"{self.api}/bot{TOKEN}/{method}", json.dumps(params).encode())
        request.add_header("Content-Type", "application/json")
        return fetch(request)["result"]

    def upload(self, method, field, filename, content, **params):
        """A call with one file."""
        mark = b"peers-boundary"
        parts = [b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (mark, k.encode(), str(v).encode())
                 for k, v in params.items()]
        parts.append(b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n--%s--\r\n'
                     % (mark, field.encode(), filename.encode(), content, mark))
        request = urllib.request.Request(f"{self.api}/bot{TOKEN}/{method}", b"".join(parts))
        request.add_header("Content-Type", "multipart/form-data; boundary=" + mark.decode())
        return fetch(request)["result"]

    def messages(self, chat, count=0, wait_ms=10_000):
        """What stands in a chat, once the bot has sent `count` messages."""
        return self.get(f"chat/{chat}/messages?count={count}&wait_ms={wait_ms}")


def fetch(request, body=None):
    try:
        with urllib.request.urlopen(request, body, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as err:
        raise AssertionError(f"{err.code}: {err.read().decode()}") from err


def png(width, height, pixel=lambda x, y: (36, 129, 204)):
    """A picture; `pixel` gives the colour of each point."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(c for x in range(width) for c in pixel(x, y)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
