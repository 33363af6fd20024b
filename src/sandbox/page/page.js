"use strict";

// What each chat received; text goes in as text, never as markup.
async function main() {
  const root = document.getElementById("chats");
  for (let version = 0; ; ) {
    const view = await (await fetch(`/view?since=${version}&wait_ms=25000`)).json();
    if (view.version === version) continue;
    version = view.version;
    const state = await (await fetch("/state")).json();
    const parts = [];
    for (const { chat } of state.chats) {
      const heading = document.createElement("h2");
      heading.textContent = chat.title || chat.first_name;
      const list = document.createElement("ul");
      for (const message of await (await fetch(`/chat/${chat.id}/messages`)).json()) {
        const item = document.createElement("li");
        item.textContent = message.text || message.caption || "(file)";
        list.append(item);
      }
      parts.push(heading, list);
    }
    root.replaceChildren(...parts);
  }
}

main();
