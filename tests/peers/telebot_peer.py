"""pyTelegramBotAPI, which the Python original of this project was written with: send, edit, upload, poll, answer."""

import threading

import telebot
from sandbox import TOKEN, Sandbox, png
from telebot import apihelper, types


def main():
    with Sandbox("--strict") as sandbox:
        apihelper.API_URL = sandbox.api + "/bot{0}/{1}"
        apihelper.FILE_URL = sandbox.api + "/file/bot{0}/{1}"
        bot = telebot.TeleBot(TOKEN, parse_mode="HTML", threaded=False)
        assert bot.get_me().is_bot
        keyboard = types.InlineKeyboardMarkup()
        keyboard.add(types.InlineKeyboardButton("press", callback_data="p"))
        sent = bot.send_message(1001, "<b>x</b> 1 &lt; 2", reply_markup=keyboard)
        assert sent.text == "x 1 < 2" and sent.entities[0].type == "bold"
        edited = bot.edit_message_text("<i>y</i>", 1001, sent.message_id, reply_markup=keyboard)
        assert edited.text == "y"
        photo = bot.send_photo(1001, png(320, 100), caption="panel")
        assert photo.photo[-1].width == 320
        assert bot.download_file(bot.get_file(photo.photo[-1].file_id).file_path) == png(320, 100)
        document = bot.send_document(-501, b"text", visible_file_name="a.txt")
        assert document.document.file_name == "a.txt"
        assert bot.send_chat_action(1001, "typing")
        assert bot.set_my_commands([types.BotCommand("start", "begin")])
        try:
            bot.send_message(5, "x")
            raise AssertionError("chat 5 does not exist")
        except apihelper.ApiTelegramException as err:
            assert err.description == "Bad Request: chat not found", err

        seen = []

        @bot.message_handler(commands=["start"])
        def start(message):
            seen.append("start")
            bot.reply_to(message, "hi", reply_markup=types.ReplyKeyboardMarkup().add("one", "two"))

        @bot.message_handler(func=lambda message: True)
        def text(message):
            seen.append(message.text)

        @bot.callback_query_handler(func=lambda query: True)
        def pressed(query):
            bot.answer_callback_query(query.id, "ok")
            seen.append(query.data)
            bot.stop_polling()

        sandbox.post("say", {"chat": 1001, "text": "/start"})
        polling = threading.Thread(target=lambda: bot.infinity_polling(timeout=20, long_polling_timeout=2, interval=0))
        polling.start()
        sandbox.messages(1001, 3)
        sandbox.post("tap", {"chat": 1001, "text": "two"})
        sandbox.post("press", {"chat": 1001, "message_id": sent.message_id, "data": "p"})
        polling.join(30)
        assert not polling.is_alive() and seen == ["start", "two", "p"], seen
    print("ok    pyTelegramBotAPI")


main()
