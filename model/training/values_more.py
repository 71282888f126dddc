"""More generators of values: shapes with several words, marks and numbers, built by combination.

As in values.py each is a function Draw -> str, begins so that it can follow a space and ends with
a letter or digit. Whole values belong to one split, the words in them to both.
"""

from __future__ import annotations

from collections.abc import Callable

from . import words as w
from . import words_more as m
from .draw import Draw
from .values_base import FIRST, Generator, made_up, syllables, whole
from .values_forms import FORMS


def _one_of(*makers: Generator) -> Generator:
    return lambda d: d.any(makers)(d)


def _surname(d: Draw) -> str:
    return made_up(d) if d.chance(0.35) else d.any(w.SURNAMES)


def _initial(d: Draw) -> str:
    return d.any("ABCDEFGHJKLMNOPRSTVW") + "."


@whole
def titled(d: Draw) -> str:
    """A name with a title and full stops, such as Dr. Imani Okoro."""
    title = d.any(
        ("Dr.", "Dr.", "Prof.", "Mr.", "Mrs.", "Ms.", "Sister", "Captain", "Nurse", "Sir")
    )
    first = d.any(("", f"{FIRST(d)} ", f"{FIRST(d)} ", f"{_initial(d)} "))
    double = f"-{_surname(d)}" if d.chance(0.1) else ""
    return f"{title} {first}{_surname(d)}{double}"


@whole
def initialed(d: Draw) -> str:
    """A name with initials, such as J. R. Whitcombe or Ana M. Silva."""
    style = d.below(4)
    if style == 0:
        return f"{_initial(d)} {_initial(d)} {_surname(d)}"
    if style == 1:
        return f"{FIRST(d)} {_initial(d)} {_surname(d)}"
    if style == 2:
        return f"{_initial(d)} {_surname(d)}"
    return f"{FIRST(d)} {_surname(d)} {d.any(('Jr', 'Senior', 'the Younger', 'the Third'))}"


PERSON = _one_of(titled, initialed, whole(lambda d: f"{FIRST(d)} {_surname(d)}"), titled)


@whole
def institution(d: Draw) -> str:
    """A school, clinic or club, such as St. Brigid's Primary School."""
    kind = d.any(m.INSTITUTIONS)
    style = d.below(4)
    if style == 0:
        return f"St. {FIRST(d)}'s {kind}"
    if style == 1:
        return f"the {d.any(w.STREETS)} {d.any(w.STREET_KINDS)} {kind}"
    if style == 2:
        return f"{made_up(d)} {kind}"
    return f"{d.any(w.NOUNS).capitalize()} {d.any(('Hill', 'Park', 'Valley', 'Point'))} {kind}"


@whole
def money(d: Draw) -> str:
    """An amount of money in one of many forms."""
    whole = d.any(
        (f"{5 + d.below(900)}", f"{1 + d.below(90)},{d.below(1000):03d}", f"{d.below(99)}0")
    )
    whole = whole if whole != "00" else "100"
    cents = f"{1 + d.below(400)}.{d.below(20) * 5:02d}"
    name = d.any(
        ("euros", "dollars", "pounds", "francs", "kroner", "yen", "pesos", "rupees", "zloty")
    )
    style = d.below(7)
    if style == 0:
        return f"{whole} {name}"
    if style == 1:
        return f"{d.any('$€£')}{d.any((whole, cents))}"
    if style == 2:
        return f"{d.any(('EUR', 'USD', 'CHF', 'GBP'))} {cents}"
    if style == 3:
        return f"{cents} {name}"
    if style == 4:
        return f"{whole} {name} a {d.any(('month', 'week', 'year', 'night', 'head'))}"
    if style == 5:
        return f"{d.any(w.NUMBER_WORDS[1:])} {d.any(('hundred', 'thousand'))} {name}"
    return f"{d.any(('about', 'roughly', 'just under', 'no more than'))} {whole} {name}"


@whole
def clock_time(d: Draw) -> str:
    """A time of day in figures or in words."""
    hour, minute = 1 + d.below(12), d.below(60)
    style = d.below(7)
    word = d.any(w.NUMBER_WORDS)
    if style == 0:
        return f"{hour}:{minute:02d} {d.any(('am', 'pm'))}"
    if style == 1:
        return f"{d.below(24):02d}:{minute:02d}"
    if style == 2:
        return f"{d.any(('a quarter past', 'a quarter to', 'half past'))} {word}"
    if style == 3:
        return f"{d.any(('ten', 'twenty', 'five', 'twenty-five'))} {d.any(('past', 'to'))} {word}"
    if style == 4:
        return f"{word} o'clock{d.any(('', ' sharp', ' in the morning', ' in the evening'))}"
    if style == 5:
        return f"{hour}.{d.below(6)}{d.any('05')} {d.any(('am', 'pm'))}"
    return f"{hour}{d.any((' ', ''))}{d.any(('am', 'pm'))} on {d.any(w.WEEKDAYS)}"


@whole
def full_date(d: Draw) -> str:
    """A date in one of many forms."""
    day, month, year = 1 + d.below(28), d.any(w.MONTHS), 1950 + d.below(85)
    ordinal = f"{day}{'th' if 3 < day < 21 or day > 23 else ('st', 'nd', 'rd')[day % 10 - 1]}"
    return d.any(
        (
            f"{day} {month} {year}",
            f"{month} {ordinal}, {year}",
            f"{month} {day}, {year}",
            f"{year}-{1 + d.below(12):02d}-{day:02d}",
            f"{day:02d}/{1 + d.below(12):02d}/{year}",
            f"{day}.{1 + d.below(12)}.{year}",
            f"{d.any(w.WEEKDAYS)}, {month} {ordinal}",
            f"{d.any(w.WEEKDAYS)} the {ordinal} of {month}",
            f"the {d.any(('first', 'second', 'third', 'last'))} {d.any(w.WEEKDAYS)} in {month}",
            f"the end of {month} {year}",
        )
    )


@whole
def span(d: Draw) -> str:
    """A length of time in several forms."""
    count, word = 2 + d.below(88), d.any(w.NUMBER_WORDS[1:])
    unit = d.any(("minutes", "hours", "days", "weeks", "months", "years"))
    return d.any(
        (
            f"{count} {unit}",
            f"{word} and a half {unit}",
            f"{d.any(('about', 'almost', 'exactly', 'just over'))} {count} {unit}",
            f"{word} hours and {5 * (1 + d.below(11))} minutes",
            f"{1 + d.below(9)} h {1 + d.below(59)} min",
            f"{word} years and {d.any(w.NUMBER_WORDS[1:11])} months",
            f"{count} to {count + 1 + d.below(9)} {unit}",
        )
    )


@whole
def short_span(d: Draw) -> str:
    """A length of time that fits into a day."""
    count, word = 5 * (1 + d.below(30)), d.any(w.NUMBER_WORDS[1:])
    return d.any(
        (
            f"{count} minutes",
            f"{word} hours",
            f"{word} and a half hours",
            f"{word} hours and {count % 60 or 20} minutes",
            f"{1 + d.below(9)} h {1 + d.below(59)} min",
            f"at least {count} minutes",
            f"no more than {word} hours",
        )
    )


@whole
def amount(d: Draw) -> str:
    """A measured quantity with its unit."""
    number = d.any(
        (f"{2 + d.below(900)}", f"{d.below(30)}.{1 + d.below(9)}", d.any(w.NUMBER_WORDS[1:]))
    )
    if d.chance(0.2):
        return f"{2 + d.below(400)} {d.any(('by', 'x'))} {2 + d.below(400)} {d.any(m.LENGTHS)}"
    return f"{number} {d.any(m.UNITS)}"


def _domain(d: Draw) -> str:
    stem = d.any((syllables(d), d.any(w.NOUNS), f"{d.any(w.ADJECTIVES)}{d.any(w.NOUNS)}"))
    return f"{stem}.{d.any(('org', 'com', 'net', 'io', 'de', 'example', 'co.uk'))}"


@whole
def email(d: Draw) -> str:
    """An e-mail address."""
    first, last = FIRST(d).lower(), _surname(d).lower()
    local = d.any(
        (f"{first}.{last}", f"{first[0]}{last}", f"{first}{d.below(100)}", f"{last}_{first}")
    )
    local = d.any((local, local, d.any(("info", "hello", "orders", "office", "team"))))
    return f"{local}@{_domain(d)}"


@whole
def url(d: Draw) -> str:
    """A web address."""
    path = d.any(("", f"/{d.any(w.NOUNS)}", f"/{d.any(w.NOUNS)}/{1 + d.below(400)}"))
    return f"{d.any(('https://', 'www.', '', 'docs.'))}{_domain(d)}{path}"


@whole
def endpoint(d: Draw) -> str:
    """A path of a web service."""
    words = d.any(w.PLURALS), d.any(w.NOUNS), d.any(m.ACTIONS)
    return d.any(
        (
            f"/api/{words[0]}",
            f"/v{1 + d.below(9)}/{words[0]}/{words[2]}",
            f"/{words[1]}/{words[2]}",
            f"POST /{words[0]}",
            f"GET /v{1 + d.below(9)}/{words[0]}",
        )
    )


@whole
def host(d: Draw) -> str:
    """The name of a machine on a network."""
    return d.any(
        (
            f"db-{d.any(w.NOUNS)}-{1 + d.below(40)}",
            f"{d.any(w.NOUNS)}{d.below(90)}.{_domain(d)}",
            f"{d.any(('prod', 'stage', 'test', 'eu', 'us'))}-{d.any(w.NOUNS)}.internal",
            f"10.{d.below(256)}.{d.below(256)}.{1 + d.below(250)}",
            f"192.168.{d.below(256)}.{1 + d.below(250)}",
        )
    )


@whole
def version_name(d: Draw) -> str:
    """A version or release in several forms."""
    a, b, c = d.below(25), d.below(30), d.below(90)
    tail = d.any(("", "", "-rc1", "-beta", "-beta2", "b1"))
    return d.any(
        (
            f"v{a}.{b}",
            f"v{a}.{b}.{c}{tail}",
            f"{a}.{b}.{c}{tail}",
            f"{2015 + a}.{b}",
            f"build {a}{c}",
        )
    )


@whole
def git_branch(d: Draw) -> str:
    """The name of a branch."""
    head = d.any(("feature", "fix", "release", "hotfix", "deploy"))
    return d.any(
        (
            f"{head}/{d.any(w.ADJECTIVES)}-{d.any(w.NOUNS)}",
            f"{head}-{d.below(9)}.{d.below(30)}",
            f"{head}/{d.any(w.NOUNS)}-{d.below(900)}",
            f"{d.any(w.NOUNS)}_{d.any(m.ACTIONS)}",
        )
    )


@whole
def ticket(d: Draw) -> str:
    """A number of a ticket or an invoice."""
    letters = "".join(d.any(w.LETTERS) for _ in range(2 + d.below(3)))
    return d.any(
        (
            f"{letters}-{10 + d.below(9000)}",
            f"{letters}/{d.below(90)}/{d.below(9000)}",
            f"{letters} {100 + d.below(900)} {d.below(100):02d}",
        )
    )


@whole
def phone(d: Draw) -> str:
    """A telephone number."""
    digits = [str(d.below(10)) for _ in range(10)]
    text = "".join(digits)
    return d.any(
        (
            f"555-{text[:4]}",
            f"+{10 + d.below(80)} {text[:2]} {text[2:5]} {text[5:]}",
            f"0{text[:3]} {text[3:6]} {text[6:]}",
            f"0{text[:2]}-{text[2:9]}",
            f"{text[:3]}-{text[3:6]}-{text[6:]}",
        )
    )


@whole
def postal(d: Draw) -> str:
    """A postal address."""
    street = f"{d.any((made_up(d), d.any(w.STREETS)))} {d.any(w.STREET_KINDS)}"
    number = f"{1 + d.below(290)}{d.any(('', '', 'a', 'b'))}"
    return d.any(
        (
            f"{number} {street}, {d.any(w.CITIES)}",
            f"flat {1 + d.below(40)}, {number} {street}",
            f"{number} {street}, third floor",
            f"{street} {number}",
            f"{d.any(w.CITIES)}, {street} {number}",
        )
    )


def _list_of(*lists: tuple[str, ...]) -> Generator:
    """Two or three things of one list, such as 'red, green and white'."""

    def make(d: Draw) -> str:
        chosen = d.shuffled(d.any(lists))[: 2 + d.below(2)]
        comma = "," if len(chosen) > 2 and d.chance(0.3) else ""
        return f"{', '.join(chosen[:-1])}{comma} and {chosen[-1]}"

    return whole(make)


def _join(count: int, *parts: Callable[[Draw], str]) -> Callable[[Draw], str]:
    """One separator between parts, which are repeated up to the count."""

    def make(d: Draw) -> str:
        return d.any("-. -").join(d.any(parts)(d) for _ in range(2 + d.below(count - 1)))

    return make


def _figures(d: Draw) -> str:
    return "".join(str(d.below(10)) for _ in range(2 + d.below(3)))


@whole
def secret(d: Draw) -> str:
    """A code, phrase, number or time: what a key of the artificial tasks may stand for."""
    hexes = "".join(d.any("0123456789abcdef") for _ in range(4 + d.below(7)))
    words = [d.any((d.any(w.NOUNS), d.any(w.COLOURS[:12]), d.any(w.ADJECTIVES))) for _ in range(3)]
    numbers = str(100 + d.below(10 ** (3 + d.below(7)) - 100))
    style = d.below(9)
    if style < 2:
        return numbers
    if style == 2:
        return _join(3, _figures)(d)
    if style == 3:
        return d.any((hexes, f"0x{hexes}", hexes.upper()))
    if style == 4:
        return d.any("-_. ").join([*words[: 1 + d.below(2)], str(2 + d.below(99))])
    if style == 5:
        return d.any((" ", "-", " ")).join(words[: 2 + d.below(2)])
    if style == 6:
        return f"{made_up(d)} {d.any(w.NOUNS)}"
    if style == 7:
        return d.any((clock_time, full_date, ticket, amount))(d)
    return d.any((syllables(d), made_up(d), d.any(w.NOUNS) + _figures(d), words[0].capitalize()))


MORE: dict[str, Generator] = {
    "titled": titled,
    "person": PERSON,
    "institution": institution,
    "money": money,
    "clock_time": clock_time,
    "full_date": full_date,
    "span": span,
    "short_span": short_span,
    "amount": amount,
    "email": email,
    "url": url,
    "endpoint": endpoint,
    "host": host,
    "version_name": version_name,
    "git_branch": git_branch,
    "ticket": ticket,
    "phone": phone,
    "postal": postal,
    "colours": _list_of(w.COLOURS[:12]),
    "foods": _list_of(w.GOODS, w.ALLERGENS),
    "sights": _list_of(m.LANDMARKS),
    "names": _list_of(w.FIRST_NAMES),
    "secret": secret,
    **FORMS,
}
