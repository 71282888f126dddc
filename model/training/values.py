"""Generators of values: every answer in the synthetic dialogues comes from here.

Each is a function Draw -> str. Values begin and end with a letter or digit, so that their
tokens are the same wherever they stand between a space and a punctuation mark.
"""

from __future__ import annotations

from . import words as w
from .draw import Draw, split_list
from .values_base import FIRST, Generator, digits, from_list, made_up, or_made_up, syllables
from .values_more import MORE


def alphanumeric(d: Draw) -> str:
    """A code such as KX4821 or B7Q3."""

    def make() -> str:
        letters = "".join(d.any(w.LETTERS) for _ in range(1 + d.below(3)))
        tail = "".join(str(d.below(10)) for _ in range(2 + d.below(4)))
        style = d.below(4)
        if style == 0:
            return "".join(d.any(w.LETTERS + "23456789") for _ in range(5 + d.below(3)))
        return f"{letters}-{tail}" if style == 1 else letters + tail

    return d.until_split(make)


def code(d: Draw) -> str:
    """A number code of 3 to 8 digits."""
    return digits(d, 3, 8)


def pin(d: Draw) -> str:
    """A number of 4 digits."""
    return digits(d, 4, 4)


def fullname(d: Draw) -> str:
    """First name and surname."""
    surname = made_up(d) if d.chance(0.3) else d.pick(w.SURNAMES)
    return f"{FIRST(d)} {surname}"


def doctor(d: Draw) -> str:
    """A surname with a title."""
    surname = made_up(d) if d.chance(0.3) else d.pick(w.SURNAMES)
    return f"{d.any(('Dr', 'Mrs', 'Mr', 'Ms', 'Professor'))} {surname}"


def date(d: Draw) -> str:
    """A day of the year, such as 14 March or June 3rd."""

    def make() -> str:
        day, month = 1 + d.below(28), d.any(w.MONTHS)
        suffix = (
            {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th") if day not in (11, 12, 13) else "th"
        )
        style = d.below(5)
        return (
            f"{day} {month}",
            f"{month} {day}",
            f"{month} {day}{suffix}",
            f"{day}{suffix} of {month}",
            f"the {day}{suffix} of {month}",
        )[style]

    return d.until_split(make)


def year(d: Draw) -> str:
    """A year from 1930 to 2025."""
    return d.until_split(lambda: str(1930 + d.below(96)))


def clock(d: Draw) -> str:
    """A time of day, such as 7:45, 3 pm or half past nine."""

    def make() -> str:
        hour, minute = 1 + d.below(12), 5 * d.below(12)
        half = d.any(("am", "pm"))
        style = d.below(5)
        if style == 0:
            return f"{hour} {half}"
        if style == 1:
            return f"{hour}:{minute:02d} {half}"
        if style == 2:
            return f"{d.below(24)}:{minute:02d}"
        if style == 3:
            return (
                f"{d.any(('half past', 'quarter past', 'quarter to'))} {w.NUMBER_WORDS[hour - 1]}"
            )
        return f"{hour}:{d.below(60):02d} {half}"

    return d.until_split(make)


def weekday(d: Draw) -> str:
    """A weekday, sometimes with a part of the day."""

    def make() -> str:
        part = d.any(("", "", " morning", " afternoon", " evening"))
        return d.any(w.WEEKDAYS) + part

    return d.until_split(make)


def moment(d: Draw) -> str:
    """A weekday with a time or a date with a time."""

    def make() -> str:
        day = d.any(w.WEEKDAYS) if d.chance(0.6) else f"{d.any(w.MONTHS)} {1 + d.below(28)}"
        minutes = d.any((":15", ":30", ":45", "", ""))
        return f"{day} at {1 + d.below(12)}{minutes} {d.any(('am', 'pm'))}"

    return d.until_split(make)


def price(d: Draw) -> str:
    """An amount of money."""

    def make() -> str:
        amount = (
            f"{1 + d.below(9999):,}" if d.chance(0.6) else f"{1 + d.below(200)}.{d.below(100):02d}"
        )
        return d.any((f"{amount} dollars", f"{amount} euros", f"${amount}", f"{amount} pounds"))

    return d.until_split(make)


def number(d: Draw) -> str:
    """A number from 2 to 999."""
    return d.until_split(lambda: str(2 + d.below(998)))


def small_number(d: Draw) -> str:
    """A number from 1 to 99."""
    return d.until_split(lambda: str(1 + d.below(99)))


def address(d: Draw) -> str:
    """A house number and street."""
    street = made_up(d) if d.chance(0.3) else d.pick(w.STREETS)
    return f"{1 + d.below(300)} {street} {d.any(w.STREET_KINDS)}"


def phrase(d: Draw) -> str:
    """Two or three words, such as 'silent copper heron'."""
    head = f"{d.pick(w.ADJECTIVES)} {d.pick(w.NOUNS)}"
    return f"{d.pick(w.ADJECTIVES)} {head}" if d.chance(0.3) else head


def title(d: Draw) -> str:
    """The title of a book, film, band, project or boat."""
    style = d.below(5)
    if style == 0:
        return made_up(d)
    if style == 1:
        return f"The {d.pick(w.ADJECTIVES).capitalize()} {d.pick(w.NOUNS).capitalize()}"
    if style == 2:
        return f"{d.pick(w.NOUNS).capitalize()} {made_up(d)}"
    if style == 3:
        return f"{d.pick(w.ADJECTIVES).capitalize()} {d.pick(w.NOUNS).capitalize()}"
    return f"{d.pick(w.NOUNS).capitalize()} of {made_up(d)}"


def company(d: Draw) -> str:
    """The name of a firm."""
    stem = made_up(d) if d.chance(0.6) else d.pick(w.NOUNS).capitalize()
    endings = ("", "", " Labs", " Systems", " Group", " Foods", " Partners", " Software")
    return stem + d.any(endings)


def venue(d: Draw) -> str:
    """The name of a restaurant, hotel or club."""
    if d.chance(0.4):
        return f"{d.any(('Cafe', 'Hotel', 'Casa', 'Villa', 'Bar'))} {made_up(d)}"
    return f"the {d.pick(w.ADJECTIVES).capitalize()} {d.pick(w.NOUNS).capitalize()}"


def password(d: Draw) -> str:
    """A password of words and digits."""

    def make() -> str:
        style = d.below(4)
        tail = "".join(str(d.below(10)) for _ in range(2 + d.below(3)))
        if style == 0:
            return f"{d.any(w.ADJECTIVES)}-{d.any(w.NOUNS)}-{tail}"
        if style == 1:
            return f"{d.any(w.NOUNS)}{tail}"
        if style == 2:
            return f"{syllables(d)}{tail}"
        return f"{d.any(w.NOUNS).capitalize()}{d.any(w.NOUNS).capitalize()}{tail}"

    return d.until_split(make)


def thing(d: Draw) -> str:
    """A thing with a colour and an article, such as 'a green bicycle'."""
    colour = d.pick(w.COLOURS)
    article = "an" if colour[0] in "aeiou" else "a"
    return f"{article} {colour} {d.pick(w.NOUNS)}"


def duration(d: Draw) -> str:
    """A length of time."""
    unit = d.any(("minutes", "hours", "days", "weeks", "months"))
    return d.until_split(lambda: f"{2 + d.below(58)} {unit}")


def age(d: Draw) -> str:
    """An age in years."""
    return d.until_split(lambda: str(2 + d.below(97)))


def _measure(low: int, high: int, units: tuple[str, ...]) -> Generator:
    return lambda d: d.until_split(lambda: f"{low + d.below(high - low)} {d.any(units)}")


def _series(items: tuple[str, ...]) -> Generator:
    """Two or three different items, such as 'milk, eggs and rice'."""

    def make(d: Draw) -> str:
        chosen = d.shuffled(split_list(items, d.split))[: 2 + d.below(2)]
        return f"{', '.join(chosen[:-1])} and {chosen[-1]}"

    return make


def version(d: Draw) -> str:
    """A version number."""
    return d.until_split(lambda: f"{d.below(20)}.{d.below(30)}.{d.below(100)}")


def slug(d: Draw) -> str:
    """Words joined by hyphens."""
    tail = f"-{d.below(1000)}" if d.chance(0.3) else ""
    return f"{d.pick(w.ADJECTIVES)}-{d.pick(w.NOUNS)}{tail}"


def filename(d: Draw) -> str:
    """A file name with its ending."""
    ending = d.any(("pdf", "txt", "docx", "xlsx", "zip", "md"))
    stem = d.pick(w.NOUNS) + d.any(("", "_final", "-v2", "_old", "-draft", f"_{d.below(100)}"))
    return f"{stem}.{ending}"


def ratio(d: Draw) -> str:
    """A blood pressure."""
    return d.until_split(lambda: f"{100 + d.below(80)} over {60 + d.below(45)}")


def every(d: Draw) -> str:
    """How often something is done."""

    def make() -> str:
        count = d.any(w.NUMBER_WORDS[1:])
        unit = d.any(("days", "weeks", "hours", "months"))
        often = d.any(("once", "twice", "three times", "four times", "five times"))
        period = d.any(("day", "week", "month", "year"))
        return d.any((f"every {count} {unit}", f"{often} a {period}", f"every {d.any(w.WEEKDAYS)}"))

    return d.until_split(make)


def grade(d: Draw) -> str:
    """A result in points or per cent."""
    unit = d.any(("points", "percent", "out of 100"))
    return d.until_split(lambda: f"{20 + d.below(80)} {unit}")


def costume(d: Draw) -> str:
    """Something with an adjective and an article."""
    adjective = d.pick(w.ADJECTIVES)
    return f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective} {d.pick(w.NOUNS)}"


def plural(d: Draw) -> str:
    """Many of a kind, such as 'old lanterns'."""
    return f"{d.pick(w.ADJECTIVES)} {d.pick(w.PLURALS)}"


GENERATORS: dict[str, Generator] = {
    "first": FIRST,
    "fullname": fullname,
    "doctor": doctor,
    "petname": or_made_up(w.PET_NAMES, 0.4),
    "city": or_made_up(w.CITIES),
    "country": from_list(w.COUNTRIES),
    "address": address,
    "colour": from_list(w.COLOURS),
    "food": from_list(w.FOODS),
    "allergen": from_list(w.ALLERGENS),
    "drink": from_list(w.DRINKS),
    "hobby": from_list(w.HOBBIES),
    "job": from_list(w.JOBS),
    "instrument": from_list(w.INSTRUMENTS),
    "language": from_list(w.LANGUAGES),
    "sport": from_list(w.SPORTS),
    "animal": from_list(w.ANIMALS),
    "flowers": from_list(w.FLOWERS),
    "genre": from_list(w.GENRES),
    "subject": from_list(w.SUBJECTS),
    "place": from_list(w.PLACES),
    "medicine": from_list(w.MEDICINES),
    "gift": from_list(w.GIFTS),
    "code": code,
    "pin": pin,
    "alnum": alphanumeric,
    "date": date,
    "year": year,
    "clock": clock,
    "weekday": weekday,
    "moment": moment,
    "price": price,
    "number": number,
    "small": small_number,
    "phrase": phrase,
    "title": title,
    "company": company,
    "venue": venue,
    "password": password,
    "thing": thing,
    "made_up": made_up,
    "duration": duration,
    "age": age,
    "version": version,
    "slug": slug,
    "filename": filename,
    "ratio": ratio,
    "every": every,
    "grade": grade,
    "costume": costume,
    "collection": plural,
    "measure": _measure(2, 900, ("metres", "centimetres", "inches", "feet")),
    "distance": _measure(2, 900, ("kilometres", "miles", "metres")),
    "measure_cm": _measure(60, 210, ("centimetres", "cm")),
    "measure_kg": _measure(3, 140, ("kilos", "kg", "pounds")),
    "measure_ml": _measure(2, 60, ("millilitres", "drops", "tablets", "ml")),
    "degrees": _measure(2, 260, ("degrees",)),
    "goods": _series(w.GOODS),
    "people": _series(w.FIRST_NAMES),
    "fear": from_list(w.FEARS),
    "blood": from_list(w.BLOOD_TYPES),
    "season": from_list(w.SEASONS),
    "dreamjob": from_list(w.JOBS),
    "bus": number,
    **MORE,
}
