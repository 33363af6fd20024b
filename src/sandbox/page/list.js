// The list of chats.

import { at } from "./common.js";
import { element } from "./text.js";
import { author, clock, hue, initials, nameOf, preview } from "./messages.js";

const rows = new Map();

/** The row of a chat: made once and then only filled, so that a click in a storm still meets it. */
function row(entry, { seen, open, openChat }) {
  const { chat, last } = entry;
  const name = nameOf(chat);
  const unread = chat.id === open ? 0 : entry.delivered - (seen.get(chat.id) ?? 0);
  const whose = last && !last.own && chat.type !== "private" ? `${author(last)}: ` : "";
  const line = last ? whose + preview(last) : "no messages";
  const state = JSON.stringify([name, unread, line, last?.date, chat.id === open]);
  if (!rows.has(chat.id)) {
    const button = element("button", "chat");
    button.type = "button";
    button.addEventListener("click", () => openChat(chat.id));
    rows.set(chat.id, { made: element("li", "", button), button });
  }
  const known = rows.get(chat.id);
  if (known.state === state) return known.made;
  known.state = state;
  const avatar = element("span", `avatar hue-${hue(chat.id)}`, initials(name));
  avatar.ariaHidden = "true";
  const badge = element("span", "badge", unread > 999 ? "999+" : String(unread));
  badge.hidden = unread <= 0;
  badge.title = `${unread} unread`;
  known.button.replaceChildren(avatar,
    element("span", "name", chat.type === "private" ? name : `${icon(chat)} ${name}`),
    element("time", "", last ? clock(last.date) : ""), element("span", "last", line), badge);
  if (chat.id === open) known.button.setAttribute("aria-current", "true");
  else known.button.removeAttribute("aria-current");
  return known.made;
}

const icon = (chat) => (chat.type === "channel" ? "📢" : chat.is_forum ? "💬" : "👥");

/** Draws the list: `page` has the chats, what was seen of them, and which one is open. */
export function drawChats(page) {
  const wanted = at("search").value.toLowerCase();
  const list = [...page.chats.values()]
    .filter((entry) => nameOf(entry.chat).toLowerCase().includes(wanted) || String(entry.chat.id).includes(wanted))
    .sort((a, b) => (b.last?.date ?? 0) - (a.last?.date ?? 0) || b.version - a.version);
  const box = at("chats");
  // A storm over thousands of chats must not draw thousands of rows at each change.
  const shown = list.slice(0, 300).map((entry) => row(entry, page));
  shown.forEach((made, n) => {
    if (box.children[n] !== made) box.insertBefore(made, box.children[n] ?? null);
  });
  while (box.children.length > shown.length) box.lastChild.remove();
  at("none").hidden = page.chats.size > 0;
}

/** After a reset. */
export function forgetRows() {
  rows.clear();
}
