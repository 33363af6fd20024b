// grammY: send, edit, upload, poll, answer. Arguments: the API's root, the control API's root, the token.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { Bot, GrammyError, InputFile } = createRequire(`${process.env.PEERS_DIR}/`)("grammy");
const [api, ctl, token, picture] = process.argv.slice(2);
const bot = new Bot(token, { client: { apiRoot: api } });
const post = (call, body) => fetch(`${ctl}/${call}`, { method: "POST", body: JSON.stringify(body) });

assert.equal((await bot.api.getMe()).is_bot, true);
const reply_markup = { inline_keyboard: [[{ text: "press", callback_data: "p" }]] };
const sent = await bot.api.sendMessage(1001, "<b>x</b> &amp; y", { parse_mode: "HTML", reply_markup });
assert.equal(sent.text, "x & y");
assert.deepEqual(sent.entities, [{ type: "bold", offset: 0, length: 1 }]);
const edited = await bot.api.editMessageText(1001, sent.message_id, "_z_", { parse_mode: "MarkdownV2", reply_markup });
assert.equal(edited.text, "z");
const photo = await bot.api.sendPhoto(1001, new InputFile(Buffer.from(picture, "base64"), "p.png"), { caption: "panel" });
assert.equal(photo.photo.at(-1).width, 300);
const document = await bot.api.sendDocument(-501, new InputFile(Buffer.from("text"), "a.txt"));
assert.equal(document.document.file_size, 4);
assert.equal(await bot.api.sendChatAction(1001, "typing"), true);
await assert.rejects(bot.api.sendMessage(5, "x"), (err) => err instanceof GrammyError && err.description === "Bad Request: chat not found");

const seen = [];
bot.command("start", async (context) => {
  seen.push("start");
  await context.reply("hi", { reply_markup: { keyboard: [["one", "two"]] } });
  await post("tap", { chat: 1001, text: "two" });
});
bot.on("message:text", (context) => {
  seen.push(context.message.text);
  return post("press", { chat: 1001, message_id: sent.message_id, data: "p" });
});
bot.on("callback_query:data", async (context) => {
  seen.push(context.callbackQuery.data);
  await context.answerCallbackQuery("ok");
  await bot.stop();
});
await post("say", { chat: 1001, text: "/start" });
await bot.start();
assert.deepEqual(seen, ["start", "two", "p"]);
console.log("ok    grammY");
