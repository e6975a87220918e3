"""Names a conversation after its first answer, by asking the same model for a few words. Decides what may be a name.

Whatever the model says is only text and may be hostile: what is no plain short line is dropped for the question's first words.
"""

import re
import unicodedata

from tramontane.foundation.nouns import Ask, Limits, Message, Sampling, TextChunk

MOST_TOKENS = 24
LONGEST = 80
FIRST_WORDS = 8
SHOWN_QUESTION = 1500
SHOWN_ANSWER = 700
_WRAPPING = " \t\"'`*_#.:«»“”\u2018\u2019"
_LABEL = re.compile(r"^(title|titre|subject|sujet)\s*[:\-]\s*", re.IGNORECASE)
_ODD = re.compile(r"[<>{}\[\]`|\\]|https?:|www\.", re.IGNORECASE)


def title_ask(request_id: str, model: str, question: str, answer: str) -> Ask:
    """A small ask without chance in it."""
    text = (
        "Write a title of at most six words for the conversation below, in its own language. "
        "Reply with the title alone.\n\n"
        f"Question: {question[:SHOWN_QUESTION]}\n\nAnswer: {answer[:SHOWN_ANSWER]}"
    )
    return Ask(
        id=request_id,
        model=model,
        messages=(Message(role="user", content=(TextChunk(text),)),),
        sampling=Sampling(temperature=0.0),
        limits=Limits(max_tokens=MOST_TOKENS),
    )


def title_from(said: str, question: str) -> str:
    """The model's words when they can be a name, else the first words of the question."""
    lines = [line for line in said.strip().splitlines() if line.strip()]
    name = _LABEL.sub("", lines[0].strip(_WRAPPING)).strip(_WRAPPING) if lines else ""
    name = " ".join(name.split())
    return name if _is_plain(name) else first_words(question)


def first_words(question: str) -> str:
    """A name from what was asked; never empty."""
    plain = "".join(" " if unicodedata.category(letter) in ("Cc", "Cf") else letter for letter in question[:2000])
    words = plain.split()
    name = " ".join(words[:FIRST_WORDS])
    if len(name) > LONGEST:
        name = name[: LONGEST - 1].rstrip()
    return name + "…" if len(words) > FIRST_WORDS or len(name) == LONGEST - 1 else name or "…"


def _is_plain(name: str) -> bool:
    if not 2 <= len(name) <= LONGEST or _ODD.search(name):
        return False
    # Control and direction characters could make a list show something else than it says.
    return not any(unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cn") for letter in name)
