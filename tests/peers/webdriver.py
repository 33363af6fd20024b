"""A browser by the WebDriver protocol (chromedriver): as much of it as the browser test needs."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

KEY = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run", "--no-default-browser-check",
         "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


class Browser:
    """A headless Chromium for the time of a `with`."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="peers-chromium-")
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                break
        else:
            raise AssertionError("chromedriver did not start")
        self.root = f"http://127.0.0.1:{found[1]}"
        options = {"args": [*FLAGS, f"--user-data-dir={self.profile}"], "binary": shutil.which("chromium")}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                   "goog:loggingPrefs": {"browser": "ALL"}}}}
        session = self.call("POST", "/session", wanted)["sessionId"]
        self.root += f"/session/{session}"
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        except (AssertionError, OSError):
            pass
        self.driver.terminate()
        self.driver.wait(60)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, path, body=None):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.root + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as err:
            raise AssertionError(f"{path}: {err.read().decode()[:600]}") from err

    def devtools(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def look(self, width, height, scheme, mobile=False):
        """The size and the colours of the screen."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def go(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def wait(self, what, script, *args, seconds=60):
        """Waits until a script says something true, and returns that."""
        deadline = time.monotonic() + seconds
        while True:
            said = self.run(script, *args)
            if said:
                return said
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s for {what}; the page says:\n{self.run('return document.body.innerText')}")
            time.sleep(0.05)

    def find(self, css, text=None):
        """The first element that is visible and, if given, has this text."""
        script = """return [...document.querySelectorAll(arguments[0])].find((e) => e.checkVisibility()
                    && (arguments[1] === null || e.textContent.trim() === arguments[1]))"""
        return self.wait(f"{css} {text or ''}", script, css, text)[KEY]

    def click(self, css, text=None):
        """Clicks; once more if the page was just drawn anew under the mouse."""
        try:
            self.call("POST", f"/element/{self.find(css, text)}/click")
        except AssertionError as err:
            if "stale element" not in str(err):
                raise
            self.call("POST", f"/element/{self.find(css, text)}/click")

    def type(self, css, text):
        self.call("POST", f"/element/{self.find(css)}/value", {"text": text})

    def press(self, *keys):
        """Keys on whatever has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def screenshot(self, name):
        folder = os.environ["SCREENSHOTS"]
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{name}.png"), "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def complaints(self):
        """Errors on the console, which is also where a broken content policy is told."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
