"""Frames around clauses and questions: how a fact is told, acknowledged, asked and answered."""

from __future__ import annotations

from .draw import Draw
from .facts import Fact

UNKNOWN = "I don't know."

TELL = (
    "{C}.", "{C}.", "{C}.", "By the way, {c}.", "Just so you know, {c}.", "I should mention that {c}.",
    "Please remember that {c}.", "For your notes: {c}.", "Did I tell you that {c}?", "Oh, and {c}.",
    "Remember this for later: {c}.", "One more thing: {c}.", "In case it matters, {c}.",
    "You should know that {c}.", "Can you note down that {c}?", "So, {c}.", "Well, {c}.",
    "Before I forget, {c}.", "It is good to know that {c}.", "Let me tell you something: {c}.",
    "I wanted to say that {c}.", "Fun fact: {c}.", "{C}, by the way.", "{C}, just so you know.",
    "{C}, in case you need it.", "Hi! {C}.", "Please write down that {c}.", "Note to self: {c}.",
    "As it happens, {c}.", "Keep in mind that {c}.", "Good news: {c}.", "Here is something new: {c}.",
)
SMALL_TALK = (
    "It has been a long day.", "The weather is awful today.", "I am a bit tired.", "Work was busy.",
    "I had a good breakfast.", "My head is full of things.", "Anyway.", "That made me smile.",
    "I hope you are well.", "It took me a while to sort that out.", "We laughed a lot about it.",
    "I am glad that is settled.", "The bus was late again.", "I slept badly last night.",
    "There is so much to do this week.", "I have been meaning to tell you.", "What a week!",
    "It rained all morning.", "Thanks for listening.", "Time flies.", "I need a coffee first.",
    "Not that it matters much.", "You never know when that comes in handy.", "I am in a hurry.",
)
ACKNOWLEDGE = (
    "Got it.", "Thanks, I'll remember that.", "Noted.", "Good to know!", "Okay, I have written it down.",
    "Thank you for telling me.", "Sure, I'll keep that in mind.", "That's nice to hear.", "I see.",
    "Alright, noted.", "Understood.", "Great, I'll remember it.", "Okay!", "Lovely, thanks.",
    "I've made a note of it.", "Interesting!", "Sounds good.", "Of course, I won't forget.",
)
ACKNOWLEDGE_VALUE = (
    "Got it, {v}.", "{v}, noted.", "Okay, I'll remember {v}.", "Thanks, I wrote down {v}.", "Alright: {v}.",
)
ASK_DIRECT = (
    "{Q}?", "{Q}?", "{Q}?", "{Q}?", "Quick question: {q}?", "Hey, {q}?", "Sorry, {q}?", "{Q} again?",
    "One question: {q}?", "I forgot, {q}?", "Do you remember? {Q}?", "Tell me, {q}?", "So {q}?",
    "Help me out: {q}?", "I can't recall. {Q}?", "By the way, {q}?", "Okay, and {q}?", "Hi, {q}?",
)
ASK_NOUN = (
    "What is {n}?", "Remind me of {n}.", "Tell me {n}.", "I forgot {n}.", "Can you give me {n}?",
    "I need {n}.", "Do you still have {n}?", "What was {n} again?", "Please look up {n}.",
    "Could you repeat {n}?", "I am looking for {n}.", "{N}, please.", "{N}?", "Do you remember {n}?",
    "What did we say about {n}?", "Please give me {n}.", "Do you happen to know {n}?",
)
ASK_EMBEDDED = (
    "Do you remember {e}?", "Can you tell me {e}?", "I forgot {e}.", "Remind me {e}.",
    "Could you remind me {e}?", "I can't remember {e}.", "Do you know {e}?", "Please tell me {e}.",
    "Any idea {e}?", "I would like to know {e}.", "Did I tell you {e}?", "Did I mention {e}?",
    "I am trying to remember {e}.", "Could you look up {e}?", "Tell me {e}.", "Say, do you know {e}?",
)
UPDATE = (
    "Actually, things changed: {c}.", "Correction: {c}.", "Update: {c}.", "Change of plan: {c} now.",
    "Forget what I said before, {c}.", "I was wrong earlier: {c}.", "It changed, {c}.",
    "Small correction, {c}.", "That is no longer right: {c}.", "News: from now on {c}.",
    "I have to correct myself: {c}.", "Please update your notes: {c}.",
)
ASK_NOW = ("{Q} now?", "As of now, {q}?", "After the change, {q}?", "{Q} these days?")
ASK_BEFORE = (
    "What was {n} before the change?", "Before the change, what was {n}?", "What did I say {n} was at first?",
    "What was {n} originally?", "Remind me of the old answer: what was {n} before?",
    "What was {n} before I corrected it?",
)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def frame(d: Draw, frames: tuple[str, ...], key: str, text: str) -> str:
    """Put text into one of the frames, at "{key}" or, capitalised, at the capital key."""
    chosen = d.pick(frames)
    return chosen.replace("{" + key + "}", text).replace(
        "{" + key.upper() + "}", _capital(text)
    )


def tell(d: Draw, fact: Fact, *, update: bool = False) -> tuple[str, str]:
    """A message that states the fact: (role, text)."""
    if fact.schema.assistant_says and not update and d.chance(0.25):
        return "assistant", _capital(fact.fill(d, d.pick(fact.schema.assistant_says), later=False))
    clause = fact.fill(d, d.pick(fact.schema.says), later=False)
    text = frame(d, UPDATE if update else TELL, "c", clause)
    if d.chance(0.2):
        text = f"{d.pick(SMALL_TALK)} {text}"
    if d.chance(0.2):
        text = f"{text} {d.pick(SMALL_TALK)}"
    return "user", text


def acknowledge(d: Draw, fact: Fact) -> str:
    """What the assistant says to a fact it was told."""
    if d.chance(0.12):
        return _capital(d.pick(ACKNOWLEDGE_VALUE).replace("{v}", fact.value))
    return d.pick(ACKNOWLEDGE)


def ask(d: Draw, fact: Fact) -> str:
    """A question for the fact's value."""
    schema = fact.schema
    forms = [("q", schema.asks, ASK_DIRECT)] * 2
    forms += [("n", schema.nouns, ASK_NOUN)] if schema.nouns else []
    forms += [("e", schema.embeds, ASK_EMBEDDED)] if schema.embeds else []
    key, templates, frames = d.any(forms)
    text = frame(d, frames, key, fact.fill(d, d.pick(templates), later=True))
    if d.chance(0.12):
        text = f"{d.pick(SMALL_TALK)} {text}"
    return text


def ask_now(d: Draw, fact: Fact) -> str:
    """A question for the latest value of a fact that was changed."""
    if d.chance(0.6):
        return ask(d, fact)
    return frame(d, ASK_NOW, "q", fact.fill(d, d.pick(fact.schema.asks), later=True))


def ask_before(d: Draw, fact: Fact) -> str | None:
    """A question for the value before the change; None if the schema has no noun phrase."""
    if not fact.schema.nouns:
        return None
    return frame(d, ASK_BEFORE, "n", fact.fill(d, d.pick(fact.schema.nouns), later=True))


