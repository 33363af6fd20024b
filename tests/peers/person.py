"""The whole loop as people have it: pair, be let in, choose alerts, get one of a real Prometheus, look at a panel.

Everything is real but Telegram and Grafana. Screenshots stay in $SCREENSHOTS for people to look at.
"""

import os
import shutil
import tempfile

from sandbox import Sandbox
from services import Services, Target
from webdriver import Browser

ENTER = "\ue007"
WORLD = {
    "chats": [{"id": 1001, "type": "private", "first_name": "Ada"}, {"id": 1002, "type": "private", "first_name": "Борис"},
              {"id": 1003, "type": "private", "first_name": "Grace"}],
    "users": [{"id": 1001, "first_name": "Ada", "username": "ada", "language_code": "en"},
              {"id": 1002, "first_name": "Борис", "language_code": "ru"},
              {"id": 1003, "first_name": "Grace", "username": "grace", "language_code": "en"}],
}
RULES = [
    {"name": "HostOutOfMemory", "metric": "memory_is_full", "severity": "critical",
     "summary": "Memory of web-1 is full (< 10% left)", "description": "5.1 % of 16 GiB are left & falling"},
    {"name": "HostHighCpuLoad", "metric": "cpu_is_busy", "severity": "warning",
     "summary": "CPU of web-1 is above 90 %", "description": "for 5 minutes, by user time"},
    {"name": "DiskWillFill", "metric": "disk_fills", "severity": "warning", "summary": "Disk of db-1 fills", "description": "x"},
]

ENGLISH = {
    "asked": "Your request was passed on", "welcome": "You were let in", "list": "/list", "listed": "You get alerts",
    "set": "You get alerts in whose name mem|cpu is found", "back": "go back", "day": "24h", "drawn": "last 24h",
    "wrong": "no regular expression", "nothing": "No dashboard or panel is called", "near": "Did you mean",
}
RUSSIAN = {
    "asked": "Ваш запрос передан", "welcome": "Вам открыт доступ", "list": "/list", "listed": "Вы получаете оповещения",
    "set": "в имени которых найдено mem|cpu", "back": "назад", "day": "24\u00a0ч", "drawn": "за 24\u00a0ч",
    "wrong": "не регулярное выражение", "nothing": "Ни дашборда, ни панели", "near": "Может быть",
}

SAID = "return document.querySelector('#log').innerText.includes(arguments[0])"
SAID_LAST = "return ([...document.querySelectorAll('#log .in')].at(-1)?.innerText ?? '').includes(arguments[0])"
PICTURE = """const all = [...document.querySelectorAll('#log img')];
             const last = all.at(-1);
             return last && last.complete && last.naturalWidth > 100 && last.src !== arguments[0] ? last.src : null"""


class Person:
    """Somebody in front of the chat page."""

    def __init__(self, browser, sandbox, chat, kind):
        self.browser, self.sandbox, self.chat, self.kind, self.count = browser, sandbox, chat, kind, 0

    def open(self):
        self.browser.go("about:blank")
        self.browser.go(f"{self.sandbox.ctl}/#{self.chat}")

    def says(self, text):
        self.browser.type("#text", text)
        self.browser.press(ENTER)

    def reads(self, text, seconds=20):
        self.browser.wait(f"{text!r} in chat {self.chat}", SAID, text, seconds=seconds)

    def reads_last(self, text, seconds=20):
        self.browser.wait(f"{text!r} at the end of chat {self.chat}", SAID_LAST, text, seconds=seconds)

    def taps(self, key):
        self.browser.click("#keyboard .key", key)

    def presses(self, button):
        self.browser.click(".inline .key", button)

    def sees_picture(self, before=""):
        return self.browser.wait("the picture", PICTURE, before, seconds=60)

    def looks(self, name):
        """A screenshot; whoever reads at the end of a chat stays there, whatever came."""
        self.browser.wait("the end of the chat", """const s = document.querySelector('#scroll');
                          return s.scrollHeight - s.scrollTop - s.clientHeight < 5""")
        self.count += 1
        wide = self.browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert wide, f"{name}: the page is wider than the screen"
        self.browser.screenshot(f"person-{self.kind}-{self.count:02d}-{name}")


def pairs(browser, sandbox, code, kind):
    ada = Person(browser, sandbox, 1001, f"admin-{kind}")
    ada.open()
    browser.click(".start button", "START")
    ada.reads("Nobody looks after this bot yet")
    ada.says(f"/start {code}")
    ada.reads("You are this bot's administrator now")
    browser.find("#keyboard .key")
    ada.looks("paired")
    return ada


def is_let_in(ada, person, words):
    person.open()
    person.browser.click(".start button", "START")
    person.reads(words["asked"])
    person.looks("asked")
    ada.open()
    ada.reads("wants to be let in")
    ada.looks("request")
    ada.presses("✅ Approve")
    ada.reads_last("was let in by")
    ada.looks("approved")
    person.open()
    person.reads(words["welcome"])
    person.looks("welcome")


def chooses_alerts(person, words, target):
    person.says("/regexp mem|cpu(")
    person.reads(words["wrong"])
    person.says("/regexp mem|cpu")
    person.reads(words["set"])
    person.says(words["list"])
    person.reads(words["listed"])
    person.looks("subscribed")
    target.on.update(memory_is_full=1, cpu_is_busy=1, disk_fills=1)
    for name in ("HostOutOfMemory · critical", "HostHighCpuLoad · warning"):
        person.reads(name, 60)
    person.looks("alert")


def looks_at_panels(person, words):
    if not person.browser.run("return document.querySelector('#keyboard')?.checkVisibility()"):
        person.browser.click("#keys")
    person.taps("Hosts")
    person.browser.find("#keyboard .key", "Memory")
    person.looks("panels")
    person.taps("Memory")
    first = person.sees_picture()
    person.looks("picture")
    person.presses(words["day"])
    person.reads_last(words["drawn"], 60)
    person.sees_picture(first)
    person.looks("picture-24h")
    person.says("memroy")
    person.reads_last(words["near"])
    person.looks("typing-error")
    person.taps(words["back"])
    person.browser.find("#keyboard .key", "Databases")
    person.says("no such thing")
    person.reads_last(words["nothing"])
    person.looks("back")


def is_told_the_end(person, target):
    target.on.update(memory_is_full=0, cpu_is_busy=0)
    for name in ("HostOutOfMemory · critical · resolved", "HostHighCpuLoad · warning · resolved"):
        person.reads(name, 60)
    person.looks("resolved")
    told = "\n".join(message.get("text", "") for message in person.sandbox.get(f"chat/{person.chat}/messages"))
    assert "DiskWillFill" not in told, told


def main():
    binaries = os.path.dirname(os.environ["TG_SANDBOX"])
    folder = tempfile.mkdtemp(prefix="pt-person-")
    target = Target("memory_is_full", "cpu_is_busy", "disk_fills")
    with Sandbox("--limits", "enforce", world=WORLD) as sandbox, Services(folder) as services:
        users = services.write("users.json", "{}")
        grafana = services.grafana(binaries, "--chromium", "tests/grafana/demo")
        code = services.bot(binaries, sandbox.api, users, grafana)
        webhook = services.pipeline(binaries, sandbox.api, users)
        services.prometheus(webhook, target, RULES)
        with Browser() as browser:
            browser.look(1280, 800, "light")
            ada = pairs(browser, sandbox, code, "desktop")
            for kind, chat, words, look in (("desktop-light", 1003, ENGLISH, (1280, 800, "light")),
                                            ("phone-dark", 1002, RUSSIAN, (390, 844, "dark", True))):
                browser.look(*look)
                ada.kind = f"admin-{kind}"
                person = Person(browser, sandbox, chat, kind)
                is_let_in(ada, person, words)
                chooses_alerts(person, words, target)
                looks_at_panels(person, words)
                is_told_the_end(person, target)
                assert not browser.complaints(), "errors on the console"
                print(f"ok    the whole loop: {kind}")
            ada.open()
            ada.says("/help")
            ada.reads("For administrators")
            ada.says("/users")
            ada.reads_last("3 chats")
            ada.looks("users")
        # Two screens may well read the same.
        known = ("duplicate_text",)
        wrong = {name: n for name, n in sandbox.get("violations")["counts"].items() if n and name not in known}
        assert not wrong, wrong
    shutil.rmtree(folder)


main()
