// Text with entities as elements. Data only ever becomes text nodes: nothing here parses HTML.

/** An element with a class and children (strings become text). */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Only what a browser opens and does not run. */
function safeLink(url) {
  try {
    const scheme = new URL(url).protocol;
    return ["http:", "https:", "mailto:", "tg:"].includes(scheme) ? url : null;
  } catch {
    return null;
  }
}

function link(url, children) {
  const safe = safeLink(url);
  const made = element(safe ? "a" : "span", safe ? "" : "dead", ...children);
  made.title = url;
  if (safe) {
    made.href = safe;
    made.target = "_blank";
    made.rel = "noopener noreferrer";
  }
  return made;
}

function button(className, children, act) {
  const made = element("button", className, ...children);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

function spoiler(children) {
  const made = element("span", "spoiler", ...children);
  made.tabIndex = 0;
  made.setAttribute("role", "button");
  made.setAttribute("aria-label", "hidden text, press to show");
  const show = () => {
    made.classList.add("shown");
    made.removeAttribute("role");
    made.removeAttribute("aria-label");
  };
  made.addEventListener("click", show);
  made.addEventListener("keydown", (event) => event.key === "Enter" && show());
  return made;
}

function quote(children, expandable) {
  const made = element("blockquote", expandable ? "expandable" : "", ...children);
  if (expandable) {
    const more = button("more", ["show more"], () => {
      const open = made.classList.toggle("open");
      more.textContent = open ? "show less" : "show more";
    });
    return element("div", "quote", made, more);
  }
  return made;
}

function pre(children, language) {
  const block = element("pre", "", element("code", "", ...children));
  return language ? element("div", "code", element("span", "language", language), block) : block;
}

/** What an entity looks like around its children; `act` gets commands that were clicked. */
function wrap(entity, text, children, act) {
  switch (entity.type) {
    case "bold": return element("strong", "", ...children);
    case "italic": return element("em", "", ...children);
    case "underline": return element("u", "", ...children);
    case "strikethrough": return element("s", "", ...children);
    case "spoiler": return spoiler(children);
    case "code": return element("code", "", ...children);
    case "pre": return pre(children, entity.language);
    case "blockquote": return quote(children, false);
    case "expandable_blockquote": return quote(children, true);
    case "text_link": return link(entity.url, children);
    case "url": return link(text, children);
    case "email": return link(`mailto:${text}`, children);
    case "bot_command": return button("command", children, () => act(text));
    case "date_time": {
      const made = element("time", "", ...children);
      made.title = new Date(entity.unix_time * 1000).toLocaleString();
      return made;
    }
    default: return element("span", "mention", ...children);
  }
}

const BLOCKS = ["pre", "blockquote", "expandable_blockquote"];

/** The nodes of a text. Offsets are UTF-16 units, as JavaScript counts too. */
export function rich(text, entities, act) {
  const queue = [...(entities || [])];
  const build = (start, end) => {
    const nodes = [];
    let at = start;
    while (queue.length && queue[0].offset < end) {
      const entity = queue.shift();
      const from = Math.max(entity.offset, at);
      const to = Math.min(entity.offset + entity.length, end);
      if (to <= from) continue;
      const block = BLOCKS.includes(entity.type);
      // A block has its own line: a break right before or behind it is that line's.
      const before = text.slice(at, from);
      nodes.push(block ? before.replace(/\n$/, "") : before);
      nodes.push(wrap(entity, text.slice(from, to), build(from, to), act));
      at = block && text[to] === "\n" && to < end ? to + 1 : to;
    }
    nodes.push(text.slice(at, end));
    return nodes;
  };
  return build(0, text.length);
}
