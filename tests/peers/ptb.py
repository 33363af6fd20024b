"""python-telegram-bot, the strictest reader of answers: send, edit, upload, poll, answer, settings."""

import asyncio
import io

from sandbox import TOKEN, Sandbox, png
from telegram import BotCommand, ChatMember, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, ReplyKeyboardMarkup
from telegram.constants import ChatAction
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter
from telegram.ext import ApplicationBuilder, CallbackQueryHandler, ChatMemberHandler, CommandHandler, MessageHandler, filters


async def refusals(bot, sandbox):
    for wrong, words in ((dict(chat_id=4, text="x"), "Chat not found"),
                         (dict(chat_id=1001, text="<b>x", parse_mode="HTML"), "Can't parse entities"),
                         (dict(chat_id=1001, text="x" * 4097), "Message is too long")):
        try:
            await bot.send_message(**wrong)
            raise AssertionError(f"accepted: {words}")
        except BadRequest as err:
            assert words in err.message, err
    sandbox.post("rules", {"match": {"chat_id": 1001}, "do": {"flood": {"retry_after": 1}}})
    try:
        await bot.send_message(1001, "x")
        raise AssertionError("no flood")
    except RetryAfter:
        await asyncio.sleep(1)
    sandbox.post("bot_status", {"chat": 1001, "status": "blocked"})
    try:
        await bot.send_message(1001, "x")
        raise AssertionError("not blocked")
    except Forbidden as err:
        assert "blocked by the user" in err.message, err
    sandbox.post("migrate", {"from": -501, "to": -1002222222222})
    try:
        await bot.send_message(-501, "x")
        raise AssertionError("not migrated")
    except ChatMigrated as err:
        assert err.new_chat_id == -1002222222222


async def outgoing(bot):
    me = await bot.get_me()
    assert me.is_bot and me.username, me
    sent = await bot.send_message(1001, "<b>bold</b> <a href='http://a.example/'>link</a> 😀 <code>x</code>", parse_mode="HTML",
                                  disable_notification=True)
    assert sent.text == "bold link 😀 x" and [e.type for e in sent.entities] == ["bold", "text_link", "code"], sent
    assert sent.parse_entities() and sent.date.year > 2000 and sent.chat.type == "private"
    edited = await sent.edit_text("other", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("press", callback_data="p:1")]]))
    assert edited.text == "other" and edited.edit_date and edited.reply_markup.inline_keyboard[0][0].callback_data == "p:1"
    picture = await bot.send_photo(1001, png(640, 200), caption="*panel*", parse_mode="MarkdownV2", reply_to_message_id=sent.id)
    assert (picture.photo[-1].width, picture.photo[-1].height) == (640, 200) and picture.reply_to_message.id == sent.id
    again = await bot.send_photo(-501, picture.photo[-1].file_id)
    assert again.photo[-1].file_unique_id == picture.photo[-1].file_unique_id
    content = await (await bot.get_file(picture.photo[-1].file_id)).download_as_bytearray()
    assert bytes(content) == png(640, 200)
    caption = await picture.edit_caption("new")
    assert caption.caption == "new"
    other = InputMediaPhoto(png(320, 100), caption="<b>1h</b>", parse_mode="HTML")
    other = await picture.edit_media(other, reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("1h", callback_data="r")]]))
    assert (other.photo[-1].width, other.caption, other.id) == (320, "1h", picture.id) and other.edit_date, other
    document = await bot.send_document(-1001000000001, io.BytesIO(b"a list\n"), filename="list.txt", message_thread_id=7)
    assert document.document.file_name == "list.txt" and document.message_thread_id == 7
    assert await document.delete()
    assert await bot.send_chat_action(1001, ChatAction.UPLOAD_PHOTO)
    assert await bot.set_my_commands([BotCommand("start", "begin"), BotCommand("stop", "end")])
    assert [c.command for c in await bot.get_my_commands()] == ["start", "stop"]
    assert await bot.set_my_description("a bot") and (await bot.get_my_description()).description == "a bot"
    assert await bot.set_my_short_description("b") and (await bot.get_my_short_description()).short_description == "b"
    assert (await bot.get_chat(-501)).title == "Ops"
    assert (await bot.get_chat_member(-501, 1001)).status == ChatMember.MEMBER
    assert (await bot.get_chat_administrators(-501)) == ()
    assert (await bot.get_webhook_info()).url == ""
    assert await bot.delete_webhook()
    return sent


async def incoming(app, sandbox, sent):
    seen = []

    async def start(update, context):
        seen.append("start")
        await update.message.reply_text("hi", reply_markup=ReplyKeyboardMarkup([["one", "two"]], is_persistent=True, input_field_placeholder="one or two"))

    async def text(update, context):
        seen.append(update.message.text)

    async def pressed(update, context):
        await update.callback_query.answer("ok")
        seen.append(update.callback_query.data)

    async def status(update, context):
        seen.append(update.my_chat_member.new_chat_member.status)

    app.add_handler(CommandHandler("start", start))
    app.add_handler(MessageHandler(filters.TEXT, text))
    app.add_handler(CallbackQueryHandler(pressed))
    app.add_handler(ChatMemberHandler(status))
    await app.start()
    await app.updater.start_polling(poll_interval=0, timeout=5)

    async def until(count):
        for _ in range(1200):
            if len(seen) >= count:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(seen)

    sandbox.post("say", {"chat": 1001, "text": "/start"})
    await until(1)
    await asyncio.to_thread(sandbox.messages, 1001, 3)
    sandbox.post("tap", {"chat": 1001, "text": "two"})
    sandbox.post("press", {"chat": 1001, "message_id": sent.id, "data": "p:1"})
    sandbox.post("bot_status", {"chat": 1001, "status": "blocked"})
    sandbox.post("bot_status", {"chat": 1001, "status": "member"})
    await until(5)
    assert seen == ["start", "two", "p:1", "kicked", "member"], seen
    await app.updater.stop()
    await app.stop()
    waiting = sandbox.get("state")["bots"][0]["waiting_updates"]
    assert waiting == 0, f"{waiting} updates not confirmed"


async def main():
    with Sandbox("--strict") as sandbox:
        builder = ApplicationBuilder().token(TOKEN).base_url(f"{sandbox.api}/bot").base_file_url(f"{sandbox.api}/file/bot")
        async with builder.build() as app:
            sent = await outgoing(app.bot)
            await incoming(app, sandbox, sent)
            counts = sandbox.get("violations")["counts"]
            assert not any(counts.values()), counts
            await refusals(app.bot, sandbox)
    print("ok    python-telegram-bot")


asyncio.run(main())
