"""Runs grammy.mjs against a sandbox."""

import base64
import os
import subprocess
import sys

from sandbox import TOKEN, Sandbox, png

with Sandbox("--strict") as sandbox:
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "grammy.mjs")
    picture = base64.b64encode(png(300, 100)).decode()
    done = subprocess.run(["node", script, sandbox.api, sandbox.ctl, TOKEN, picture], timeout=60)
    waiting = sandbox.get("state")["bots"][0]["waiting_updates"]
    assert waiting == 0, f"{waiting} updates not confirmed"
sys.exit(done.returncode)
