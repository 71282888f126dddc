"""What the demo's user tells the agent while they read a book together, and what is asked later."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exchange:
    """A few messages of the dialogue; the first one is the user's."""

    at: float
    """Share of the book that was read before it, 0 to 1."""
    messages: tuple[str, ...]
    """User and assistant in turn."""


@dataclass(frozen=True)
class Fact:
    """A question asked after the restore."""

    question: str
    expected: str
    """Words that a right answer contains."""
    told: str
    """Beginning of the message that says it."""


DIALOGUE = (
    Exchange(
        0.0,
        (
            "My dog is called Biscuit.",
            "What a lovely name! Say hello to Biscuit from me.",
            "Let's read a book together. I will paste it in pieces.",
            "Good idea. I will read along.",
        ),
    ),
    Exchange(
        0.07,
        (
            "Short break, I am off to the gym. The code of my gym locker is 4817.",
            "Have a good workout! I have noted the locker code.",
        ),
    ),
    Exchange(
        0.16,
        (
            "By the way, I am allergic to hazelnuts.",
            "Thank you for telling me. I will keep that in mind for recipes.",
        ),
    ),
    Exchange(
        0.22,
        (
            "Is it normal that the landlady in this story never speaks?",
            "She has a small part so far. Perhaps later.",
            "My sister Clara lives in Lisbon. She would love this chapter.",
            "Send it to her, then!",
        ),
    ),
    Exchange(
        0.31,
        (
            "We finally have a code name for the new project at work: Bluefin.",
            "Bluefin sounds fast. I like it.",
        ),
    ),
    Exchange(
        0.40,
        (
            "I can read on until lunch today. It is raining anyway.",
            "Perfect weather for a mystery.",
        ),
    ),
    Exchange(
        0.45,
        (
            "The wifi password of the cabin is maple-river-92.",
            "Got it. That will be handy on your next weekend there.",
        ),
    ),
    Exchange(
        0.53,
        (
            "I have to tell you something about next week. The meeting with the publisher is on "
            "Thursday at 3:40 pm.",
            "Thursday afternoon, understood. Good luck with it.",
        ),
    ),
    Exchange(
        0.60,
        (
            "Remind me where I put things, I always forget. The spare key is under the blue "
            "flowerpot.",
            "I will remember that for you.",
        ),
    ),
    Exchange(
        0.68,
        (
            "My dentist is Dr. Okafor. She is very gentle.",
            "A gentle dentist is worth a lot.",
        ),
    ),
    Exchange(
        0.76,
        (
            "I bought a used bike yesterday and paid 235 euros for it.",
            "That sounds like a fair price. Enjoy the ride!",
        ),
    ),
    Exchange(
        0.83,
        (
            "What do you think of Watson as a narrator?",
            "He is loyal and notices less than Holmes, which suits the reader.",
        ),
    ),
    Exchange(
        0.89,
        (
            "My flight home has the number KL1693.",
            "Have a safe trip when the day comes.",
        ),
    ),
    Exchange(
        0.95,
        (
            "Almost done! My favourite tea is jasmine, so I am making a pot for the last pages.",
            "Enjoy your tea, and the ending.",
        ),
    ),
    Exchange(
        1.0,
        (
            "That was the whole book. Thanks for reading with me.",
            "It was a pleasure. Ask me about anything you told me, whenever you like.",
        ),
    ),
)

FACTS = (
    Fact("What is my dog called?", "Biscuit", "My dog is called"),
    Fact("What is the code of my gym locker?", "4817", "Short break, I am off to the gym."),
    Fact("What am I allergic to?", "hazelnuts", "By the way, I am allergic"),
    Fact("Which city does my sister Clara live in?", "Lisbon", "My sister Clara lives"),
    Fact("What is the code name of the new project?", "Bluefin", "We finally have a code name"),
    Fact("What is the wifi password of the cabin?", "maple-river-92", "The wifi password"),
    Fact("When is the meeting with the publisher?", "Thursday at 3:40 pm", "I have to tell you"),
    Fact("Where is the spare key?", "under the blue flowerpot", "Remind me where I put things"),
    Fact("Who is my dentist?", "Okafor", "My dentist is"),
    Fact("How much did I pay for the bike?", "235 euros", "I bought a used bike"),
    Fact("What is the number of my flight home?", "KL1693", "My flight home"),
    Fact("What is my favourite tea?", "jasmine", "Almost done!"),
)
