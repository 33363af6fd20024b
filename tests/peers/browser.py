"""The chat page in a real browser: type, tap, press, look at a picture; and an alert that tries to run as script.

Screenshots stay in $SCREENSHOTS for people to look at.
"""

import json
import math
import threading

from sandbox import Sandbox, png
from webdriver import Browser

ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"
EVIL = "<img src=x onerror=\"window.owned='img'\"><script>window.owned='script'</script><svg onload=\"window.owned=1\">"
ALERT = """🔥 <b>DiskWillFillIn4Hours</b>  <i>critical</i>
<b>/var/lib</b> on <code>node-7.example:9100</code> is <u>97.4 %</u> full.

<blockquote expandable>instance  node-7.example:9100
job       node
mountpoint /var/lib
device    /dev/nvme0n1p3
fstype    ext4
severity  critical</blockquote>
since 14:02, for 12 min, <s>1 h ago</s> <tg-spoiler>password hunter2</tg-spoiler>
<a href="http://127.0.0.1:9093/#/alerts">Alertmanager</a>, http://127.0.0.1:9090/graph #disk
<pre><code class="language-promql">predict_linear(node_filesystem_free_bytes[1h], 4*3600) &lt; 0</code></pre>"""


def chart(x, y):
    """A panel with two curves."""
    if x % 80 == 0 or y % 50 == 0:
        return (44, 50, 53)
    for height, colour in ((130 + 60 * math.sin(x / 70), (115, 191, 105)), (200 - 50 * math.sin(x / 50 + 1), (242, 204, 12))):
        if abs(y - height) < 2.5:
            return colour
        if y > height and (x + y) % 7 == 0:
            return tuple(c // 4 for c in colour)
    return (24, 27, 31)


def bot(sandbox, stop):
    """A bot as tg-bot will be: a keyboard of dashboards, a picture, a button that edits its message."""
    offset = 0
    picture = png(800, 320, chart)
    while not stop.is_set():
        for update in sandbox.bot("getUpdates", offset=offset, timeout=1):
            offset = update["update_id"] + 1
            if "callback_query" in update:
                query = update["callback_query"]
                where = {"chat_id": query["message"]["chat"]["id"], "message_id": query["message"]["message_id"]}
                if query["data"] == "1h":
                    sandbox.bot("answerCallbackQuery", callback_query_id=query["id"])
                    sandbox.upload("editMessageMedia", "new", "panel.png", png(640, 320, chart), **where,
                                   media=json.dumps({"type": "photo", "media": "attach://new", "caption": "CPU and memory, last 1 h"}))
                    continue
                sandbox.bot("answerCallbackQuery", callback_query_id=query["id"], text="Silenced for 2 h")
                sandbox.bot("editMessageText", **where, text="🔕 <b>Silenced</b> by Ada", parse_mode="HTML")
            elif update.get("message", {}).get("text") == "/start":
                sandbox.bot("sendMessage", chat_id=update["message"]["chat"]["id"], text="Hello Ada! Choose a dashboard.",
                            reply_markup={"keyboard": [["CPU and memory", "Disks"], ["go back"]], "resize_keyboard": True})
            elif update.get("message", {}).get("text") == "CPU and memory":
                chat = update["message"]["chat"]["id"]
                sandbox.bot("sendChatAction", chat_id=chat, action="upload_photo")
                sandbox.upload("sendPhoto", "photo", "panel.png", picture, chat_id=chat, caption="CPU and memory, last 6 h",
                               reply_markup=json.dumps({"inline_keyboard": [[{"text": "1 h", "callback_data": "1h"}]]}))


def conversation(browser, sandbox):
    browser.look(1280, 800, "light")
    browser.go(sandbox.ctl)
    browser.click("#chats .name", "Ada")
    browser.click(".start button", "START")
    browser.wait("the greeting", "return document.querySelector('#log').innerText.includes('Hello Ada')")
    browser.click("#keyboard .key", "CPU and memory")
    browser.wait("the picture", "const i = document.querySelector('#log img'); return i && i.complete && i.naturalWidth === 800")
    browser.click(".inline .key", "1 h")
    browser.wait("the other picture", "const i = document.querySelector('#log img'); return i && i.complete && i.naturalWidth === 640")
    browser.wait("its caption", "return document.querySelector('#log').innerText.includes('last 1 h')")
    # It is shown for five seconds.
    sandbox.bot("sendChatAction", chat_id=1001, action="upload_photo")
    browser.wait("what the bot does", "return document.querySelector('#subtitle').textContent === 'bot is sending a photo…'")
    browser.wait("the end of that", "return !document.querySelector('#subtitle').textContent.includes('photo')")
    sandbox.bot("sendMessage", chat_id=1001, text=ALERT, parse_mode="HTML",
                reply_markup={"inline_keyboard": [[{"text": "Silence 2 h", "callback_data": "silence"},
                                                   {"text": "Runbook", "url": "http://127.0.0.1:9/runbook"}]]})
    browser.wait("bold text", "return [...document.querySelectorAll('#log strong')].some((e) => e.textContent === 'DiskWillFillIn4Hours')")
    browser.wait("the language", "return document.querySelector('.language')?.textContent === 'promql'")
    for width, height, scheme, mobile in ((1280, 800, "light", False), (1280, 800, "dark", False),
                                          (390, 844, "light", True), (390, 844, "dark", True)):
        browser.look(width, height, scheme, mobile)
        browser.run("document.querySelector('#scroll').scrollTop = 1e9")
        wide = browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert wide, f"the page is wider than a screen of {width}"
        browser.screenshot(f"chat-{'phone' if mobile else 'desktop'}-{scheme}")
    browser.look(1280, 800, "light")
    browser.click(".inline .key", "Silence 2 h")
    browser.wait("the toast", "return document.querySelector('#toast.shown')?.textContent === 'Silenced for 2 h'")
    browser.wait("the edit", "return document.querySelector('#log').innerText.includes('Silenced by Ada')")
    browser.wait("the mark of an edit", "return [...document.querySelectorAll('.meta')].some((e) => e.textContent.includes('edited'))")
    browser.screenshot("after-press")
    nothing_undefined(browser)
    print("ok    conversation: /start, keyboard, picture, button, edit")


def nothing_undefined(browser):
    shown = browser.run("return document.body.innerText")
    where = browser.run("return [...document.body.querySelectorAll('*')].filter((e) => e.innerText === 'undefined').map((e) => e.outerHTML)")
    assert "undefined" not in shown, (where, shown)


def keyboard_only(browser, sandbox):
    """The same without a mouse."""
    browser.run("document.querySelector('#text').focus()")
    browser.type("#text", "typed 😀" .replace("😀", "ok"))
    browser.press(ENTER)
    browser.wait("what was typed", "return [...document.querySelectorAll('.out .text')].some((e) => e.textContent.startsWith('typed ok'))")
    browser.run("[...document.querySelectorAll('#log > .in')].at(-1).focus()")
    browser.press("r")
    browser.wait("the reply bar", "return !document.querySelector('#replying').hidden && document.activeElement.id === 'text'")
    browser.type("#text", "an answer")
    browser.press(ENTER)
    browser.wait("the answer", "return document.querySelector('.out .answered strong')?.textContent === 'Sandbox bot'")
    said = sandbox.get("chat/1001/messages")[-1]
    assert said["reply_to_message"]["text"].startswith("🔕"), said
    browser.run("document.querySelector('#new').focus()")
    browser.press(ENTER)
    browser.type("#make-name", "Grace")
    browser.press(ENTER)
    browser.wait("the new chat", "return document.querySelector('#title').textContent === 'Grace'")
    browser.click(".start button", "START")
    browser.wait("the greeting there", "return document.querySelector('#log').innerText.includes('Hello')")
    nothing_undefined(browser)
    print("ok    by keyboard: type, reply, a new chat")


def hostile_texts(browser, sandbox):
    """What an alert says never runs, wherever it is shown."""
    sandbox.post("chat", {"id": -502, "type": "group", "title": EVIL})
    sandbox.post("user", {"id": 1003, "first_name": EVIL})
    sandbox.post("say", {"chat": -502, "from": 1003, "text": EVIL})
    sandbox.bot("sendMessage", chat_id=-501, text=EVIL, reply_markup={"inline_keyboard": [[{"text": EVIL, "callback_data": "x"}]]})
    escaped = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    sandbox.bot("sendMessage", chat_id=-501, text=f"<pre><code class=\"language-{escaped}\">x</code></pre>", parse_mode="HTML")
    sandbox.bot("sendMessage", chat_id=-501, text="a link", entities=[
        {"type": "text_link", "offset": 0, "length": 6, "url": "http://x.example/\"onmouseover=\"window.owned=2"}])
    sandbox.bot("sendMessage", chat_id=-501, text="keys", reply_markup={"keyboard": [[EVIL]], "input_field_placeholder": EVIL})
    sandbox.upload("sendDocument", "document", "evil.html", EVIL.encode(), chat_id=-501, caption=EVIL)
    for chat in ("Ops", EVIL):
        browser.click("#chats .name", f"👥 {chat}")
        browser.wait("the text as text", "return document.querySelector('#log').textContent.includes(arguments[0])", EVIL)
    browser.click("#chats .name", "👥 Ops")
    browser.click("#log .document")
    browser.wait("the file as text", "return document.querySelector('#viewer-body pre')?.textContent === arguments[0]", EVIL)
    browser.screenshot("hostile")
    browser.press(ESCAPE)
    for path in ("/", browser.run("return new URL(document.querySelector('#viewer-save').href).pathname")):
        browser.go(sandbox.ctl + path)
        assert browser.run("return window.owned ?? null") is None, "text of an alert ran as script"
    assert browser.run("return document.contentType") == "text/plain", "an uploaded page is shown as a page"
    browser.go(sandbox.ctl + "/#-501")
    browser.wait("the texts again", "return document.querySelector('#log').textContent.includes(arguments[0])", EVIL)
    made = browser.run("return document.querySelectorAll('#log img[src=x], #log script, #log svg, #side img, #keyboard img').length")
    assert made == 0, f"{made} elements came out of a text"
    assert browser.run("return window.owned ?? null") is None, "text of an alert ran as script"
    # The policy is the second wall: even a script that got in would not run.
    browser.run("const s = document.createElement('script'); s.textContent = \"window.owned='inline'\"; document.body.append(s)")
    assert browser.run("return window.owned ?? null") is None, "the content policy lets inline scripts run"
    blocked = browser.complaints()
    assert any("Content Security Policy" in line for line in blocked), blocked
    print("ok    hostile texts stay texts")


def groups(browser, sandbox):
    sandbox.post("say", {"chat": -1001000000001, "from": 1002, "text": "кто дежурит?", "thread": 7})
    for n in range(5):
        sandbox.bot("sendMessage", chat_id=-1001000000001, message_thread_id=7, disable_notification=True,
                    text=f"✅ <b>resolved</b> HighLatency on web-{n}", parse_mode="HTML")
    sandbox.upload("sendDocument", "document", "alerts.txt", b"\n".join(b"alert %d" % n for n in range(300)),
                   chat_id=-1001000000001, message_thread_id=7, caption="300 alerts in 40 s: 250 HighLatency, 50 DiskFull")
    browser.go(sandbox.ctl + "/#-1001000000001")
    browser.click("#log .document")
    browser.wait("the list", "return document.querySelector('#viewer-body pre')?.textContent.includes('alert 299')")
    browser.press(ESCAPE)
    browser.run("document.querySelector('#as').value = '1001'; document.querySelector('#topic').value = '7'")
    browser.type("#text", "I am")
    browser.press(ENTER)
    browser.wait("the words", "return [...document.querySelectorAll('.out .text')].some((e) => e.textContent.startsWith('I am'))")
    said = sandbox.get("chat/-1001000000001/messages")[-1]
    assert (said["from"]["first_name"], said["message_thread_id"]) == ("Ada", 7), said
    browser.look(1280, 800, "dark")
    browser.screenshot("group-desktop-dark")
    browser.look(390, 844, "light", True)
    browser.screenshot("group-phone-light")
    browser.click("#back")
    browser.screenshot("list-phone-light")
    browser.click("#new")
    browser.screenshot("new-chat-phone-light")
    browser.press(ESCAPE)
    browser.look(1280, 800, "light")
    print("ok    groups: as anybody, in a topic, a document")


def by_mouse(browser, sandbox):
    """The rest of what can be clicked: the keyboard's switch, a new group and person, blocking the bot, a spoiler, a command."""
    browser.click("#chats .name", "Ada")
    browser.click("#keys")
    browser.wait("no keyboard", "return document.querySelector('#keyboard').hidden")
    browser.click("#keys")
    browser.find("#keyboard .key", "Disks")
    sandbox.bot("sendMessage", chat_id=1001, text="try /start or <tg-spoiler>look</tg-spoiler>", parse_mode="HTML")
    browser.click(".spoiler:not(.shown)", "look")
    browser.wait("the spoiler", "return [...document.querySelectorAll('.spoiler.shown')].some((e) => e.textContent === 'look')")
    browser.click(".command", "/start")
    browser.wait("the command", "return [...document.querySelectorAll('.out .text')].filter((e) => e.textContent.startsWith('/start')).length >= 2")
    browser.click("#block", "Block bot")
    browser.find("#block", "Unblock bot")
    status = sandbox.get("state")["chats"]
    assert [entry["bot"] for entry in status if entry["chat"]["id"] == 1001] == ["blocked"], status
    browser.click("#block", "Unblock bot")
    browser.find("#block", "Block bot")
    browser.click("#new")
    browser.click('[name="kind"][value="group"]')
    browser.type("#make-name", "Night shift")
    browser.click("#make button", "Create")
    browser.wait("the group", "return document.querySelector('#title').textContent === 'Night shift'")
    browser.run("const s = document.querySelector('#as'); s.value = 'new'; s.dispatchEvent(new Event('change'))")
    browser.type("#person-name", "Linus")
    browser.click("#person button", "Add")
    browser.wait("the person", "return document.querySelector('#as').selectedOptions[0].textContent === 'Linus'")
    browser.type("#text", "hi")
    browser.click("#send")
    browser.wait("the words", "return document.querySelector('.out .author')?.textContent === 'Linus'")
    print("ok    by mouse: keyboard, spoiler, command, block, new group, new person")


def storm(browser, sandbox):
    """Many messages at once, here and elsewhere: the newest is seen, the page stays small, the rest can be asked for."""
    sandbox.post("chat", {"id": 1500, "first_name": "Storm"})
    browser.go(sandbox.ctl + "/#1500")
    browser.click(".start button", "START")
    for n in range(700):
        sandbox.bot("sendMessage", chat_id=1500 if n % 2 else -501, text=f"<b>HighLatency</b> on <code>web-{n}</code> {n}", parse_mode="HTML")
    browser.wait("the newest", "return [...document.querySelectorAll('#log .text')].at(-1)?.textContent.startsWith('HighLatency on web-699')")
    shown = browser.run("return document.querySelectorAll('#log [data-id]').length")
    assert shown <= 400, f"{shown} messages on the page"
    assert browser.run("const s = document.querySelector('#scroll'); return s.scrollHeight - s.scrollTop - s.clientHeight < 80"), "not at the end"
    browser.wait("the badge", "return [...document.querySelectorAll('.badge')].some((e) => e.checkVisibility() && Number(e.textContent) >= 350)")
    browser.screenshot("storm")
    browser.go("about:blank")
    browser.go(sandbox.ctl + "/#1500")
    browser.run("document.querySelector('#scroll').scrollTop = 0")
    browser.click("#earlier")
    browser.wait("the first", "return document.querySelector('#log .text')?.textContent.startsWith('/start')")
    order = browser.run("return [...document.querySelectorAll('#log [data-id]')].map((e) => Number(e.dataset.id))")
    assert order == sorted(order) and len(order) == 352, (len(order), order[:5])
    browser.click("#facts")
    browser.wait("the facts", "return document.querySelector('.facts')?.innerText.includes('same chat parallel')")
    browser.screenshot("facts")
    browser.press(ESCAPE)
    sandbox.post("reset")
    browser.wait("the clean slate", "return document.querySelectorAll('#chats .chat').length === 3")
    print("ok    a storm of 700 messages, and a reset")


def main():
    with Sandbox("--strict") as sandbox, Browser() as browser:
        stop = threading.Event()
        thread = threading.Thread(target=bot, args=(sandbox, stop))
        thread.start()
        try:
            conversation(browser, sandbox)
            keyboard_only(browser, sandbox)
            assert not browser.complaints(), "errors on the console"
            by_mouse(browser, sandbox)
            groups(browser, sandbox)
            hostile_texts(browser, sandbox)
            storm(browser, sandbox)
        finally:
            stop.set()
            thread.join()


main()
