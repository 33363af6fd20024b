// One message as a bubble: author, answered message, picture or file, text, buttons, time.

import { element, rich } from "./text.js";

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export const clock = (unix) => time.format(new Date(unix * 1000));
export const dayOf = (unix) => day.format(new Date(unix * 1000));

/** A number from 0 to 6 that stays the same for an id. */
export const hue = (id) => Math.abs(Number(id)) % 7;

export const nameOf = (chat) => chat.title || [chat.first_name, chat.last_name].filter(Boolean).join(" ");

export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  return [...words].slice(0, 2).map((word) => [...word][0].toUpperCase()).join("");
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / (1 << 20)).toFixed(1)} MB`;
}

/** One line that stands for a message. */
export function preview(message) {
  if (message.photo) return `🖼 ${message.caption || "Photo"}`;
  if (message.document) return `📄 ${message.caption || message.document.file_name || "File"}`;
  if (message.migrate_to_chat_id) return "This group was upgraded to a supergroup";
  if (message.migrate_from_chat_id) return "This supergroup was a group before";
  return message.text || "";
}

export const author = (message) => nameOf(message.sender_chat || message.from || message.chat);

function photo(message, act) {
  const full = message.photo[message.photo.length - 1];
  const image = element("img", "");
  image.src = `/files/${encodeURIComponent(full.file_id)}`;
  image.alt = message.caption ? `Picture: ${message.caption}` : "Picture";
  image.width = full.width;
  image.height = full.height;
  const open = element("button", "photo", image);
  open.type = "button";
  open.addEventListener("click", () => act.openPhoto(full, message));
  return open;
}

function document_(message, act) {
  const file = message.document;
  const name = file.file_name || "file";
  const ending = element("span", "ending", (name.split(".").pop() || "?").slice(0, 4));
  ending.ariaHidden = "true";
  const open = element("button", "document", ending,
    element("span", "", element("strong", "", name), element("small", "", size(file.file_size || 0))));
  open.type = "button";
  open.addEventListener("click", () => act.openFile(file));
  return open;
}

function inlineKeyboard(message, act) {
  const rows = message.reply_markup.inline_keyboard.map((row, y) =>
    element("div", "row", ...row.map((key, x) => {
      if (key.url) {
        const link = element("a", "key", key.text, element("span", "corner", "↗"));
        if (/^(https?|tg):/i.test(key.url)) link.href = key.url;
        link.target = "_blank";
        link.rel = "noopener noreferrer";
        link.title = key.url;
        return link;
      }
      const button = element("button", "key", key.text);
      button.type = "button";
      button.addEventListener("click", () => act.press(message, y, x));
      return button;
    })));
  return element("div", "inline", ...rows);
}

function answered(original, act) {
  const quote = element("button", "answered", element("strong", "", author(original)),
    element("span", "", preview(original)));
  quote.type = "button";
  quote.addEventListener("click", () => act.show(original.message_id));
  return quote;
}

function meta(message) {
  const marks = [message.edited ? "edited" : "", clock(message.date)].filter(Boolean).join(" ");
  const made = element("span", "meta", marks);
  if (message.silent) made.prepend(element("span", "silent", "🔕 "));
  const at = new Date(message.date * 1000).toLocaleString();
  made.title = `message ${message.message_id}, ${at}`;
  return made;
}

function bubble(message, entry, act) {
  const parts = [];
  if (entry.chat.type !== "private") {
    const topic = entry.threads?.[message.message_thread_id];
    parts.push(element("p", `author hue-${hue((message.from || message.chat).id)}`, author(message),
      topic ? element("span", "topic", ` › ${topic}`) : ""));
  }
  if (message.reply_to_message) parts.push(answered(message.reply_to_message, act));
  if (message.photo) parts.push(photo(message, act));
  if (message.document) parts.push(document_(message, act));
  const text = message.text ?? message.caption;
  if (text) {
    parts.push(element("div", "text", ...rich(text, message.entities || message.caption_entities, act.command), meta(message)));
  } else {
    parts.push(meta(message));
  }
  return element("div", "bubble", ...parts);
}

/** The list item of a message. */
export function item(message, entry, act) {
  const made = element("li", message.own ? "in" : "out");
  made.dataset.id = message.message_id;
  if (!message.text && !message.photo && !message.document) {
    made.className = "service";
    made.append(element("p", "", preview(message)));
    return made;
  }
  if (message.photo) made.classList.add("pictured");
  made.tabIndex = 0;
  const reply = element("button", "reply", "↩");
  reply.type = "button";
  reply.ariaLabel = "Reply";
  reply.addEventListener("click", () => act.reply(message));
  made.addEventListener("keydown", (event) => {
    if (event.key === "r" && event.target === made) {
      event.preventDefault();
      act.reply(message);
    }
  });
  made.append(element("div", "line", bubble(message, entry, act), reply));
  if (message.reply_markup) made.append(inlineKeyboard(message, act));
  return made;
}
