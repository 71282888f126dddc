"""Word lists for the combined values of values_more.py."""

from __future__ import annotations


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.replace("\n", ",").split(",") if item.strip())


INSTITUTIONS = _list("""
Primary School, High School, College, Academy, Kindergarten, Sports School, Grammar School,
Music School, Dance School, Lyceum
""")
EDIBLE = _list("""
milk, rice, flour, butter, olive oil, honey, sugar, carrots, lemons, cheese, yoghurt, garlic, salt,
pepper, cinnamon, lentils, spinach, tomatoes, pears, oats, raisins, ginger, mushrooms, basil, cream,
vinegar, mustard, walnuts, dates, saffron, paprika, thyme, rosemary, almonds, cumin, cocoa, nutmeg,
parsley, chilli, coriander, sesame, coconut, cardamom, mint, dill, leeks, capers, olives, mango
""")
LENGTHS = _list("centimetres, metres, cm, inches, feet, mm, millimetres")
UNITS = _list("""
litres, grams, kilos, kg, centimetres, metres, inches, feet, miles, kilometres, degrees, watts,
gigabytes, GB, MB, tonnes, acres, square metres, cups, ounces, pints, gallons, boxes, bags, pallets,
sheets, copies, rolls
""")
ACTIONS = _list("""
export, search, import, upload, status, login, refresh, delete, preview, report, sync, archive
""")
PREPOSITIONS = _list("""
under, behind, on top of, next to, underneath, beside, in front of, taped under, above, on
""")
INSIDE = _list("in, inside, at the bottom of, at the back of, in the left pocket of, in a tin in")
PLAIN = _list("""
big, small, new, wooden, metal, broken, round, large, heavy, plain, painted, locked, dusty, striped,
narrow, folding, second, third, leather, glass
""")
FURNITURE = _list("""
flowerpot, radio, chest, desk, bookshelf, sofa, mattress, mirror, bench, cupboard, stove, doormat,
clock, suitcase, basket, barrel, lamp, rug, piano, wardrobe, picture, freezer, ladder, trunk, crate,
cabinet, jar, toolbox, typewriter, statue, birdhouse, tea tin, armchair, stairs, water tank, sink
""")
ROOMS = _list("""
in the hall, in the kitchen, in the cellar, in the attic, in the garage, by the back door,
in the guest room, on the landing, in the shed, on the porch, in the study, in the laundry room,
by the window, in the greenhouse, at my aunt's house, in the office
""")
ORDERS = _list("first, second, third, fourth, top, bottom, last")
VERBS = _list("""
dream, work, listen, laugh, travel, build, read, sing, plan, think, climb, wander, learn, share,
forgive, rest, measure, begin, dance, wait, hope, try
""")
ADVERBS = _list("""
slowly, twice, boldly, softly, together, far, alone, often, gladly, early, again, without fear,
with both hands, in the rain, like a child, from the heart
""")
DOSE_FORMS = _list("tablets, drops, pills, capsules, spoonfuls, puffs, sachets")
TASTES = _list("smoked, fresh, chopped, dried, melted, grated, roasted, ground, brown")
CARS = _list("""
Toyota, Volvo, Fiat, Skoda, Honda, Mazda, Renault, Peugeot, Ford, Subaru, Seat, Nissan, Saab, Opel
""")
CAR_KINDS = _list(
    "hatchback, estate, Corolla, Panda, Octavia, van, pickup, Clio, Focus, Civic, saloon"
)
MILKS = _list("oat milk, soy milk, almond milk, skimmed milk, coconut milk, cream")
TOPPINGS = _list("cinnamon, two sugars, honey, vanilla, no foam, extra foam, caramel, nutmeg")
LEVELS = _list("senior, junior, chief, freelance, assistant, temporary, part-time, trainee")
DEPARTMENTS = _list("""
logistics, sales, marketing, finance, quality control, customer care, research, human resources,
security, procurement, communications, operations, training, data protection
""")
EXERCISES = _list("""
push-ups, squats, sit-ups, lunges, burpees, pull-ups, planks, star jumps, rowing, skipping,
stretching, hill sprints, lengths
""")
FEATURES = _list("""
dark mode, search box, filter, save button, bigger font, summary page, reminder, shortcut,
printed guide, spare battery, longer cable, refund, guided tour
""")
PARTS = _list("""
calendar, invoice page, start screen, menu, kitchen, front page, catalogue, report, newsletter,
waiting room, lobby, web shop, app
""")
EXTRAS = _list("deliveries, discounts, meetings, pop-ups, adverts, snacks, updates, calls, tours")
ABILITIES = _list("""
works offline, starts faster, fits in a pocket, can be washed, speaks Spanish, lasts all day,
folds flat, needs no login, prints on both sides, sends a text message
""")
CHORES = _list("""
repaint, move, repair, sell, clean, measure, photograph, polish, sort, carry, pack, wrap, return,
borrow, insure, oil, order
""")
DEVICES = _list("""
lift, pump, engine, printer, projector, heating, router, boiler, microphone, key, ticket machine,
bridge, scanner, generator, contract, parcel, map
""")
FAULTS = _list("""
broken, too loud, stuck, frozen, overbooked, too expensive, missing, wet, out of paper, locked
""")
LANDMARKS = _list("""
bakery, old mill, town hall, petrol station, fountain, school, red barn, post office, chapel,
stone bridge, roundabout, library, harbour, watchtower, bus stop, playground, theatre, market
""")
PRESENTS = _list("""
flute, teapot, telescope, wallet, backpack, chess set, necklace, clock, lamp, puzzle, cookbook,
camera, blanket, vase, watch, knife, drum, kite, guitar strap, bird feeder, globe
""")
COURSES = _list("""
pottery course, balloon ride, cooking class, weekend, spa day, boat trip, dance class, wine tasting
""")
CLOTHES = _list("socks, pyjamas, mittens, mugs, pillows, stickers, slippers, scarves, aprons")
SHOWS = _list("opera, circus, ballet, musical, cup final, jazz festival, puppet theatre, zoo")
