"""Records what transformers makes of a small tokenizer and its chat template: `python tests/goldens/record_chat.py`.

Writes `chat.json` and, beside it, the tokenizer's own folder `tokenizer/`, learned from this file's own text.
"""

import json
from pathlib import Path
from typing import Any

from culet.lm.tokenizers.training import train_tokenizer

HERE = Path(__file__).parent
SYSTEM = {"role": "system", "content": "  Answer in one line.\n"}
HELLO = {"role": "user", "content": "\n  Hello, who are you?  "}
ANSWER = {"role": "assistant", "content": " A model of   few words. "}
MORE = {"role": "user", "content": "def f(x):\n    return 'é 漢字 😀 <b>' + x[10:2026]"}
CONVERSATIONS = [[HELLO], [HELLO, ANSWER], [HELLO, ANSWER, MORE], [SYSTEM, HELLO], [SYSTEM, HELLO, ANSWER, MORE]]
SAMPLES = ["", " ", "Hello", "  two  spaces\n\n\tand a tab", "<bos>begun", "12345 x=1", "é ▁ \x10 \x100 漢😀", "<0x41>"]


def main() -> None:
    import transformers

    tokenizer = train_tokenizer([Path(__file__).read_text(encoding="utf-8")], 512)
    tokenizer.save(HERE / "tokenizer")
    theirs: Any = transformers.AutoTokenizer.from_pretrained(HERE / "tokenizer")
    conversations = [
        {
            "messages": messages,
            "generation": generation,
            "text": theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation),
            "ids": theirs.apply_chat_template(messages, add_generation_prompt=generation)["input_ids"],
        }
        for messages in CONVERSATIONS
        for generation in (False, True)
    ]
    samples = [
        {"text": text, "ids": ids, "decoded": theirs.decode(ids, skip_special_tokens=True)}
        for text in SAMPLES
        if (ids := theirs(text, add_special_tokens=not text.startswith("<bos>"))["input_ids"])
    ]
    lines = {
        name: "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n]"
        for name, records in (("conversations", conversations), ("samples", samples))
    }
    text = ",\n".join(f'"{name}": {listed}' for name, listed in lines.items())
    version = f'"transformers": "{transformers.__version__}"'
    (HERE / "chat.json").write_text("{" + version + ",\n" + text + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
