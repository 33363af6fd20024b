// What stands in front of the page: pictures, files, questions.

import { at, post } from "./common.js";
import { element } from "./text.js";

const fileUrl = (file) => `/files/${encodeURIComponent(file.file_id)}`;

function view(title, file, name, body) {
  at("viewer-title").textContent = title;
  at("viewer-save").href = fileUrl(file);
  at("viewer-save").download = name;
  at("viewer-body").replaceChildren(body);
  at("viewer").showModal();
}

/** A picture in full. */
export function openPhoto(photo, message) {
  const image = element("img", "");
  image.src = fileUrl(photo);
  image.alt = message.caption || "Picture";
  view(message.caption || `${photo.width} × ${photo.height}`, photo, "photo.png", image);
}

/** Text is shown as text; anything else can be saved. */
export async function openFile(file) {
  const name = file.file_name || "file";
  if (!/^(text\/|application\/json)/.test(file.mime_type || "")) {
    return view(name, file, name, element("p", "", `This is ${file.mime_type}: save it to look at it.`));
  }
  const response = await fetch(fileUrl(file));
  view(name, file, name, element("pre", "", await response.text()));
}

async function makeChat({ chats, users, openChat }) {
  const kind = document.querySelector('[name="kind"]:checked').value;
  const name = at("make-name").value.trim();
  const ids = [...chats.keys(), ...users.map((user) => user.id)];
  const free = (start, step) => {
    let id = start;
    while (ids.includes(id)) id += step;
    return id;
  };
  const proposed = kind === "private" ? free(1001, 1) : kind === "group" ? free(-501, -1) : free(-1001000000001, -1);
  const id = Number(at("make-id").value) || proposed;
  const spec = { id, type: kind === "forum" ? "supergroup" : kind };
  if (kind === "private") await post("/user", { id, first_name: name });
  spec[kind === "private" ? "first_name" : "title"] = name;
  if (kind === "forum") Object.assign(spec, { is_forum: true, threads: { 2: "Alerts", 3: "Panels" } });
  if (kind === "channel") spec.bot = "administrator";
  if (await post("/chat", spec)) openChat(id);
}

async function makePerson({ chats, users, welcome }) {
  const ids = [...users.map((user) => user.id), ...chats.keys()].filter((id) => id > 0);
  const id = Math.max(1000, ...ids) + 1;
  const user = await post("/user", { id, first_name: at("person-name").value.trim() });
  if (!user) return;
  users.push(user);
  welcome(id);
}

function ask(dialog, done) {
  dialog.querySelectorAll("input:not([type=radio])").forEach((input) => (input.value = ""));
  dialog.onclose = () => dialog.returnValue === "make" && done();
  dialog.returnValue = "";
  dialog.showModal();
}

/** What the client did wrong. */
export async function showFacts() {
  const facts = await (await fetch("/violations")).json();
  const rows = Object.entries(facts.counts).map(([name, count]) =>
    element("tr", count ? "bad" : "", element("th", "", name.replaceAll("_", " ")), element("td", "", String(count)),
      element("td", "example", facts.examples[name]?.[0] || "")));
  at("viewer-title").textContent = "What the client did that it should not";
  at("viewer-save").removeAttribute("href");
  at("viewer-body").replaceChildren(element("table", "facts", ...rows));
  at("viewer").showModal();
}

/** Asks for a chat and makes it. */
export const askForChat = (page) => ask(at("make"), () => makeChat(page));

/** Asks for a person and makes them. */
export const askForPerson = (page) => ask(at("person"), () => makePerson(page));

document.querySelectorAll("dialog .cancel").forEach((button) =>
  button.addEventListener("click", () => button.closest("dialog").close("")));
