"""aiogram: send, edit, upload, poll, answer."""

import asyncio

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramRetryAfter
from aiogram.filters import CommandStart
from aiogram.types import BufferedInputFile, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, Message
from sandbox import TOKEN, Sandbox, png


async def main():
    with Sandbox("--strict") as sandbox:
        session = AiohttpSession(api=TelegramAPIServer.from_base(sandbox.api))
        bot = Bot(TOKEN, session=session, default=DefaultBotProperties(parse_mode="HTML"))
        assert (await bot.me()).is_bot
        keyboard = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="press", callback_data="p")]])
        sent = await bot.send_message(1001, "<b>x</b> &lt;y&gt;", reply_markup=keyboard)
        assert sent.text == "x <y>" and sent.entities[0].type == "bold", sent
        edited = await sent.edit_text("<i>z</i>", reply_markup=keyboard)
        assert edited.text == "z", edited
        photo = await bot.send_photo(1001, BufferedInputFile(png(300, 100), "p.png"), caption="panel")
        assert photo.photo[-1].width == 300
        got = await bot.download(photo.photo[-1])
        assert got.read() == png(300, 100)
        other = await photo.edit_media(InputMediaPhoto(media=BufferedInputFile(png(200, 80), "q.png"), caption="<i>1h</i>"))
        assert (other.photo[-1].width, other.caption) == (200, "1h"), other
        back = await photo.edit_media(InputMediaPhoto(media=photo.photo[-1].file_id, caption="panel"))
        assert back.photo[-1].file_unique_id == photo.photo[-1].file_unique_id, back
        document = await bot.send_document(-501, BufferedInputFile(b"text", "a.txt"))
        assert document.document.file_size == 4
        await bot.send_chat_action(1001, "typing")
        for wrong, error in ((dict(chat_id=1, text="x"), TelegramBadRequest), (dict(chat_id=1001, text="<x>"), TelegramBadRequest)):
            try:
                await bot.send_message(**wrong)
                raise AssertionError(wrong)
            except error:
                pass
        sandbox.post("rules", {"match": {"method": "sendMessage"}, "do": {"flood": {"retry_after": 1}}})
        try:
            await bot.send_message(1001, "x")
            raise AssertionError("no flood")
        except TelegramRetryAfter as err:
            assert err.retry_after == 1
            await asyncio.sleep(err.retry_after)

        seen = []
        dispatcher = Dispatcher()

        @dispatcher.message(CommandStart())
        async def start(message: Message):
            seen.append("start")
            await message.answer("hi")

        @dispatcher.callback_query()
        async def pressed(query: CallbackQuery):
            await query.answer("ok")
            seen.append(query.data)
            await dispatcher.stop_polling()

        sandbox.post("say", {"chat": 1001, "text": "/start"})
        sandbox.post("press", {"chat": 1001, "message_id": sent.message_id, "data": "p"})
        await asyncio.wait_for(dispatcher.start_polling(bot, handle_signals=False, polling_timeout=3), 30)
        assert sorted(seen) == ["p", "start"], seen
        await session.close()
    print("ok    aiogram")


asyncio.run(main())
