"""The marks inside a conversation: nine special tokens, and two think tags that are plain text."""

import re

BOS = "<|bos|>"
USER_START = "<|user_start|>"
USER_END = "<|user_end|>"
ASSISTANT_START = "<|assistant_start|>"
ASSISTANT_END = "<|assistant_end|>"
PYTHON_START = "<|python_start|>"
PYTHON_END = "<|python_end|>"
OUTPUT_START = "<|output_start|>"
OUTPUT_END = "<|output_end|>"

SPECIALS = (
    BOS,
    USER_START,
    USER_END,
    ASSISTANT_START,
    ASSISTANT_END,
    PYTHON_START,
    PYTHON_END,
    OUTPUT_START,
    OUTPUT_END,
)
"""In the order of their ids, which follow the last merge (nanochat)."""

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

THINK_TAG = re.compile(f"{THINK_OPEN}|{THINK_CLOSE}")
THINK_BLOCK = re.compile(f"{THINK_OPEN}((?:(?!</?think>).)*+){THINK_CLOSE}", re.DOTALL)
"""A pair of tags with no tag between them; group 1 is the inside."""

MARKER = re.compile("|".join(map(re.escape, SPECIALS)))
TOOL_MARKER = re.compile("|".join(map(re.escape, (PYTHON_START, PYTHON_END, OUTPUT_START, OUTPUT_END))))
TOOL_OPENER = re.compile("|".join(map(re.escape, (PYTHON_START, OUTPUT_START))))

LONGEST_MARKER = max(map(len, SPECIALS))
