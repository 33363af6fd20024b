// The page: which chats there are, which one is open, and what is done in it.

import { at, post, toast } from "./common.js";
import { askForChat, askForPerson, openFile, openPhoto, showFacts } from "./dialogs.js";
import { drawChats, forgetRows } from "./list.js";
import { author, dayOf, hue, initials, item, nameOf, preview } from "./messages.js";
import { element } from "./text.js";

const chats = new Map();
/** How many messages of a chat were on the page when it was last looked at; survives a reload. */
const seen = new Map(JSON.parse(sessionStorage.getItem("seen") || "[]"));
const told = new Set();
const MOST = 400;
/** What a chat action says. */
const DOING = { typing: "typing", upload_photo: "sending a photo", upload_document: "sending a file" };
let users = [];
let open = null;
let version = 0;
let epoch = null;
let polling = null;
let replyTo = null;

// --- the open chat

const drawList = () => drawChats({ chats, seen, open, openChat });

function welcome(id) {
  drawPeople(chats.get(open));
  at("as").value = id;
}

const act = {
  reply(message) {
    replyTo = message;
    at("replying").hidden = false;
    at("replying").querySelector("p").replaceChildren(element("strong", "", author(message)), ` ${preview(message)}`);
    at("text").focus();
  },
  show(id) {
    const found = at("log").querySelector(`[data-id="${id}"]`);
    if (!found) return toast("that message is not on the page");
    found.scrollIntoView({ block: "center" });
    found.focus();
  },
  press(message, row, col) {
    post("/press", { chat: open, message_id: message.message_id, row, col, from: sender() });
  },
  command(text) {
    say(text);
  },
  openPhoto,
  openFile,
};

const atBottom = () => at("scroll").scrollHeight - at("scroll").scrollTop - at("scroll").clientHeight < 80;

/** Whoever reads at the end stays there, whatever grows: a picture that is loaded, the keyboard, a line more to write. */
let atEnd = true;
let lastTop = 0;

function toBottom() {
  atEnd = true;
  at("scroll").scrollTop = at("scroll").scrollHeight;
  lastTop = at("scroll").scrollTop;
}

function stayAtEnd() {
  if (atEnd) toBottom();
}

/** Puts messages where they belong; those that stand there already are replaced. */
function place(messages) {
  const log = at("log");
  const stay = !atEnd;
  for (const message of messages) {
    const old = log.querySelector(`[data-id="${message.message_id}"]`);
    if (message.deleted) {
      old?.remove();
    } else if (old) {
      const hadFocus = old === document.activeElement;
      const made = item(message, chats.get(open), act);
      made.dataset.day = old.dataset.day;
      old.replaceWith(made);
      if (hadFocus) made.focus();
    } else {
      const made = item(message, chats.get(open), act);
      made.dataset.day = dayOf(message.date);
      let after = log.lastElementChild;
      while (after && !(Number(after.dataset.id) < message.message_id)) after = after.previousElementSibling;
      if (after) after.after(made);
      else log.prepend(made);
    }
  }
  if (!stay) trim();
  drawDays();
  at("down").hidden = !stay;
  if (!stay) toBottom();
}

/** A storm must not fill the page: what is far above can be asked for again. */
function trim() {
  const shown = at("log").querySelectorAll("[data-id]");
  for (const old of [...shown].slice(0, Math.max(0, shown.length - MOST))) old.remove();
}

/** The days between the messages; and a name only above the first of several. */
function drawDays() {
  at("log").querySelectorAll(".day").forEach((old) => old.remove());
  let last = null;
  let writer = null;
  for (const message of at("log").querySelectorAll("[data-id]")) {
    if (message.dataset.day !== last) {
      last = message.dataset.day;
      message.before(element("li", "day", element("span", "", last)));
      writer = null;
    }
    const name = message.querySelector(".author")?.textContent ?? null;
    message.classList.toggle("joined", name !== null && name === writer);
    writer = name;
  }
}

function drawOpen() {
  const entry = chats.get(open);
  at("empty").hidden = Boolean(entry);
  at("chat").hidden = !entry;
  if (!entry) return;
  const { chat, action } = entry;
  at("title").textContent = nameOf(chat);
  at("avatar").className = `avatar hue-${hue(chat.id)}`;
  at("avatar").textContent = initials(nameOf(chat));
  const doing = action ? `bot is ${DOING[action] || action.replaceAll("_", " ")}…` : null;
  at("subtitle").textContent = doing || `${chat.is_forum ? "forum" : chat.type}, id ${chat.id}`;
  const out = ["blocked", "kicked", "left", "deleted"].includes(entry.bot);
  at("block").textContent = chat.type === "private" ? (out ? "Unblock bot" : "Block bot") : out ? "Add bot" : "Remove bot";
  at("block").dataset.status = out ? "member" : chat.type === "private" ? "blocked" : "kicked";
  drawKeyboard(entry.keyboard);
  drawPeople(entry);
  drawTopics(entry);
  seen.set(open, entry.delivered);
  sessionStorage.setItem("seen", JSON.stringify([...seen]));
}

function drawKeyboard(keyboard) {
  const box = at("keyboard");
  const text = JSON.stringify(keyboard);
  const fixed = Boolean(keyboard?.is_persistent);
  at("keys").hidden = !keyboard || fixed;
  box.hidden = !keyboard || (!fixed && at("keys").getAttribute("aria-expanded") === "false");
  box.title = keyboard?.selective ? "selective: others in the group do not see these keys" : "";
  at("text").placeholder = keyboard?.input_field_placeholder || "Message";
  if (box.dataset.shown === text) return;
  box.dataset.shown = text;
  const rows = (keyboard?.keyboard || []).map((keys) => element("div", "row", ...keys.map((key) => {
    const button = element("button", "key", key.text);
    button.type = "button";
    button.addEventListener("click", () => post("/tap", { chat: open, text: key.text, from: sender() }));
    return button;
  })));
  box.replaceChildren(...rows);
}

function option(value, text) {
  const made = element("option", "", text);
  made.value = value;
  return made;
}

function drawPeople(entry) {
  const { chat } = entry;
  at("as-label").hidden = chat.type === "private";
  const people = new Map(users.map((user) => [user.id, nameOf(user)]));
  for (const other of chats.values()) {
    if (other.chat.type === "private") people.set(other.chat.id, nameOf(other.chat));
  }
  for (const id of Object.keys(entry.members || {})) if (!people.has(Number(id))) people.set(Number(id), `User ${id}`);
  if (!people.size) people.set(1, "User 1");
  const chosen = at("as").value;
  at("as").replaceChildren(...[...people].map(([id, name]) => option(id, name)), option("new", "New person…"));
  if (people.has(Number(chosen))) at("as").value = chosen;
}

function drawTopics(entry) {
  at("topic-label").hidden = !entry.chat.is_forum;
  const chosen = at("topic").value;
  const topics = Object.entries(entry.threads || {}).map(([id, name]) => option(id, name));
  at("topic").replaceChildren(option("", "General"), ...topics);
  at("topic").value = chosen;
}

const sender = () => (chats.get(open)?.chat.type === "private" ? open : Number(at("as").value) || 1);

async function say(text) {
  const thread = Number(at("topic").value) || undefined;
  const reply_to = replyTo?.message_id;
  const chat = chats.get(open)?.chat;
  const as = chat?.type === "channel" ? { sender_chat: open } : { from: sender() };
  stopReplying();
  toBottom();
  await post("/say", { chat: open, text, reply_to, thread: chat?.is_forum ? thread : undefined, ...as });
}

function stopReplying() {
  replyTo = null;
  at("replying").hidden = true;
}

async function openChat(id) {
  open = id;
  version = 0;
  history.replaceState(null, "", `#${id}`);
  document.body.dataset.view = "chat";
  at("log").replaceChildren();
  at("topic").value = "";
  stopReplying();
  polling?.abort();
  if (matchMedia("(min-width: 45rem) and (hover: hover)").matches) at("text").focus();
}

// --- what is new

function take(news) {
  if (epoch !== null && epoch !== news.epoch) {
    chats.clear();
    forgetRows();
    at("log").replaceChildren();
  }
  epoch = news.epoch;
  const first = version === 0;
  version = news.version;
  users = news.users;
  for (const entry of news.chats) {
    if ((seen.get(entry.chat.id) ?? 0) > entry.delivered) seen.delete(entry.chat.id);
    chats.set(entry.chat.id, entry);
    if (entry.action) setTimeout(forgetAction, entry.action_ms, entry);
  }
  drawOpen();
  if (news.messages.length) place(news.messages);
  const shown = Number(at("log").querySelector("[data-id]")?.dataset.id ?? 0);
  at("earlier").hidden = !shown || !news.first || news.first >= shown;
  const start = chats.get(open)?.chat.type === "private" && !news.first;
  at("log").classList.toggle("fresh", start);
  if (start && !at("log").children.length) at("log").append(startButton());
  if (!start) at("log").querySelector(".start")?.remove();
  for (const { id, answer } of news.queries) {
    if (answer && !told.has(id)) tell(id, answer, first);
  }
  drawList();
  const bad = news.violations;
  at("sums").textContent = `${news.delivered} delivered` + (bad ? `, ${bad} violation${bad === 1 ? "" : "s"}` : "");
  at("live").className = bad ? "dot bad" : "dot good";
}

/** Nothing comes when a bot stops doing something. */
function forgetAction(entry) {
  entry.action = null;
  if (chats.get(open) === entry) drawOpen();
}

function startButton() {
  const button = element("button", "", "START");
  button.type = "button";
  button.addEventListener("click", () => say("/start"));
  return element("li", "start", button);
}

/** What the bot said to a press; what it said before this chat was opened is old. */
function tell(id, answer, old) {
  told.add(id);
  if (old || !answer.text) return;
  if (!answer.show_alert) return toast(answer.text);
  at("alert").querySelector("p").textContent = answer.text;
  at("alert").showModal();
}

async function watch() {
  for (;;) {
    polling = new AbortController();
    const wanted = open;
    try {
      const query = `since=${version}&wait_ms=${version ? 25000 : 0}` + (wanted === null ? "" : `&chat=${wanted}`);
      const response = await fetch(`/view?${query}`, { signal: polling.signal });
      const news = await response.json();
      if (wanted === open) take(news);
    } catch (err) {
      if (err.name === "AbortError") continue;
      at("sums").textContent = "not connected";
      at("live").className = "dot bad";
      version = 0;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

async function showEarlier() {
  const first = Number(at("log").querySelector("[data-id]")?.dataset.id);
  const response = await fetch(`/view?since=0&chat=${open}&before=${first}`);
  const news = await response.json();
  const height = at("scroll").scrollHeight;
  place(news.messages);
  atEnd = false;
  at("scroll").scrollTop += at("scroll").scrollHeight - height;
  at("earlier").hidden = news.first >= Number(at("log").querySelector("[data-id]").dataset.id);
}

function submit(event) {
  event.preventDefault();
  const text = at("text").value.trim();
  at("text").value = "";
  grow();
  if (text) say(text);
}

function grow() {
  const text = at("text");
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
}

at("composer").addEventListener("submit", submit);
at("text").addEventListener("input", grow);
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  if (event.key === "Escape") stopReplying();
});
at("replying").querySelector("button").addEventListener("click", stopReplying);
at("search").addEventListener("input", drawList);
at("earlier").addEventListener("click", showEarlier);
at("down").addEventListener("click", toBottom);
at("facts").addEventListener("click", showFacts);
at("new").addEventListener("click", () => askForChat({ chats, users, openChat }));
at("as").addEventListener("change", () => at("as").value === "new" && askForPerson({ chats, users, welcome }));
at("block").addEventListener("click", () => post("/bot_status", { chat: open, status: at("block").dataset.status }));
at("keys").addEventListener("click", () => {
  const shown = at("keys").getAttribute("aria-expanded") === "true";
  at("keys").setAttribute("aria-expanded", String(!shown));
  drawKeyboard(chats.get(open)?.keyboard);
});
at("back").addEventListener("click", () => {
  open = null;
  history.replaceState(null, "", location.pathname);
  document.body.dataset.view = "list";
  drawOpen();
  drawList();
  polling?.abort();
});
at("scroll").addEventListener("scroll", () => {
  // Only a way up leaves the end: the event may come when something has grown since.
  if (at("scroll").scrollTop < lastTop || atBottom()) atEnd = atBottom();
  lastTop = at("scroll").scrollTop;
  at("down").hidden = atBottom();
}, { passive: true });
const sizes = new ResizeObserver(stayAtEnd);
sizes.observe(at("scroll"));
sizes.observe(at("log"));
function followHash() {
  const id = Number(location.hash.slice(1));
  if (/^#-?\d+$/.test(location.hash) && id !== open) openChat(id);
}

addEventListener("hashchange", followHash);
followHash();
watch();
