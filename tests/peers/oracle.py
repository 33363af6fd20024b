"""Answers what TDLib says: one {"text", "mode"} a line in, one {"error"} or {"text", "entities"} a line out.

The mode "found" asks for what is found in plain text.
"""

import json
import sys

import tdjson

MODES = {
    "html": {"@type": "textParseModeHTML"},
    "markdownv2": {"@type": "textParseModeMarkdown", "version": 2},
    "markdown": {"@type": "textParseModeMarkdown", "version": 0},
}


def ask(request):
    return json.loads(tdjson.td_execute(json.dumps(request).encode()))


ask({"@type": "setLogVerbosityLevel", "new_verbosity_level": 0})
for line in sys.stdin:
    question = json.loads(line)
    if question["mode"] == "found":
        found = ask({"@type": "getTextEntities", "text": question["text"]})
        print(json.dumps({"text": question["text"], "entities": found["entities"]}), flush=True)
        continue
    mode = MODES[question["mode"]]
    answer = ask({"@type": "parseTextEntities", "text": question["text"], "parse_mode": mode})
    if answer["@type"] == "error":
        said = {"error": answer["message"]}
    else:
        said = {"text": answer["text"], "entities": answer["entities"]}
    print(json.dumps(said), flush=True)
