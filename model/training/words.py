"""Word lists that values and small talk are composed of."""

from __future__ import annotations


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.replace("\n", ",").split(",") if item.strip())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words("""
Ana Ben Carla David Elena Farid Grace Hiro Ines Jonas Kira Leon Maya Nils Olga Pedro Quinn Rosa
Samir Tara Umar Vera Walter Xenia Yusuf Zoe Alice Bruno Chloe Daniel Emma Felix Gina Hugo Irene
Jack Karin Liam Mona Noah Oscar Paula Ravi Sofia Thomas Ursula Victor Wendy Amir Bianca Cedric
Dana Erik Fiona George Hannah Ivan Julia Kevin Laura Marco Nadia Owen Priya Rachel Stefan Tina
Valerie William Yara Adam Beatrice Colin Diana Ethan Freya Gavin Helen Isaac Jasmine Keith Lucia
Martin Nora Patrick Ruth Simon Teresa Vincent Yvonne Aaron Brenda Chen Deepa Edgar Fatima Gloria
Harold Imani Jamal Keiko Lars Mei Niko Oliver Penny Raul Sven Tomas Uma Vikram Wanda Agnes Boris
Clara Dmitri Esther Frank Gustav Heidi Igor Joanna Kofi Leila Mateo Naomi Otto Petra Rita Sanjay
Thea Viola Wei Andre Bella Carlos Doris Elias Florence Greta Henrik Iris Jorge Kamala Lydia Milan
Nina Omar Philip Rosalind Sean Tilda Ulrich Veronica Abel Bridget Conrad Delia Emil Gemma Hassan
""")
SURNAMES = _words("""
Alvarez Becker Carter Dawson Eriksen Fischer Garcia Hughes Ibrahim Jensen Kowalski Lambert Moreau
Novak Okafor Petrov Quigley Rossi Schmidt Tanaka Ueda Vargas Weber Yamada Zhang Abbott Bennett
Chandra Delgado Edwards Flores Grant Haddad Ivanov Johansson Kaplan Larsen Mendez Nakamura Olsen
Parker Ramirez Santos Thompson Ulrich Vogel Walsh Young Zimmer Andersen Brandt Costa Dubois Evans
Ferrari Gupta Hoffman Iyer Jacobs Kim Lopez Murphy Nielsen Ortiz Perez Reed Silva Turner Wagner
""")
PET_NAMES = _words("""
Biscuit Pepper Luna Rocky Daisy Milo Coco Ziggy Pumpkin Shadow Ginger Oreo Waffles Muffin Bandit
Sparky Nacho Pickles Tofu Mango Simba Willow Buster Olive Peanut Rusty Smokey Toby Nugget Hazel
Cinnamon Marble Patches Snowball Whiskers Jasper Bramble Truffle Domino Fudge Maple Nutmeg Poppy
Socks Tiger Misty Bagel Cleo Dusty Echo Figaro Gizmo Honey Juniper Kiwi Lucky Mocha Noodle Otis
""")
CITIES = _list("""
Lisbon, Boston, Kyoto, Nairobi, Vienna, Toronto, Madrid, Oslo, Denver, Seattle, Prague, Dublin,
Athens, Hamburg, Lyon, Porto, Krakow, Austin, Chicago, Montreal, Glasgow, Bristol, Leeds, Zurich,
Geneva, Milan, Naples, Turin, Seville, Valencia, Bergen, Malmo, Helsinki, Tallinn, Riga, Vilnius,
Budapest, Bucharest, Sofia, Zagreb, Istanbul, Ankara, Cairo, Tunis, Accra, Lagos, Durban, Mumbai,
Chennai, Delhi, Jakarta, Manila, Seoul, Osaka, Taipei, Bangkok, Hanoi, Melbourne, Perth, Auckland,
Santiago, Lima, Quito, Bogota, Recife, Havana, San Diego, Cape Town, New Orleans, Salt Lake City,
Buenos Aires, Tel Aviv, Portland, Phoenix, Tampa, Nashville, Memphis, Cleveland, Halifax, Calgary
""")
COUNTRIES = _list("""
Portugal, Japan, Kenya, Austria, Canada, Spain, Norway, Ireland, Greece, Germany, France, Poland,
Scotland, Switzerland, Italy, Sweden, Finland, Estonia, Latvia, Hungary, Romania, Bulgaria, Croatia,
Turkey, Egypt, Tunisia, Ghana, Nigeria, India, Indonesia, Vietnam, Thailand, Australia, Chile, Peru,
Colombia, Brazil, Cuba, Mexico, Iceland, Denmark, Belgium, Morocco, Jordan, Nepal, Mongolia, Fiji,
New Zealand, South Korea, Sri Lanka, Costa Rica, Argentina, Uruguay, Malta, Cyprus, Slovenia
""")
STREETS = _words("""
Maple Oak Cedar Willow Birch Elm Chestnut Rose Mill Church Station Bridge River Lake Hill Park
Garden Market Castle Harbour King Queen Abbey Orchard Meadow Spring Linden Poplar Hazel Juniper
""")
STREET_KINDS = _words("Street Road Avenue Lane Drive Way Close Square")
COLOURS = _list("""
red, blue, green, yellow, purple, orange, pink, brown, black, white, grey, turquoise, violet,
crimson, navy blue, dark green, light blue, silver, golden, beige, maroon, teal, lavender, ivory
""")
ADJECTIVES = _words("""
amber ancient brave bright broken calm clever cold copper crimson curious dark deep distant eager
early empty fancy fast fierce foggy frozen gentle giant golden happy hidden hollow honest humble
icy iron jolly kind late lazy little lonely loud lucky mellow mighty misty narrow noble old pale
patient plain polite proud quick quiet rapid rare rough round rusty sandy secret sharp shiny silent
silver simple sleepy slow small smooth snowy soft solid spicy steady stormy strong sunny sweet swift
tall tame tidy tiny velvet warm wild windy wise wooden young
""")
NOUNS = _words("""
anchor apple arrow badger basket beacon bear bell bottle branch bridge bucket button cactus camel
candle canyon castle cherry cloud comet compass coral cricket crow dolphin dragon drum eagle ember
falcon feather fiddle flame forest fountain fox garden garnet glacier hammer harbor hawk heron
hornet island jacket jaguar kettle kite ladder lantern lemon lion lizard magnet maple marble meadow
meteor mirror monkey mountain needle ocean orchid otter owl panda parrot pebble pepper pigeon pillow
pine planet pocket prairie quartz rabbit raven river rocket saddle salmon sparrow spider summit
sword thunder tiger trumpet tulip tunnel turtle valley violin walnut whale willow window wolf zebra
""")
FOODS = _list("""
mushroom risotto, lasagne, pad thai, chicken curry, vegetable soup, fish tacos, sushi, dumplings,
paella, ramen, goulash, ratatouille, falafel, spinach pie, beef stew, pumpkin soup, fried rice,
banana bread, apple pie, lemon cake, cheesecake, tiramisu, pancakes, rice pudding, roast potatoes,
lentil soup, tomato salad, grilled salmon, stuffed peppers, chilli, moussaka, gnocchi, pierogi,
waffles, shepherd's pie, carrot cake, noodle soup, bean burritos, onion soup, potato gratin,
chocolate mousse, peach cobbler, shrimp gumbo, beef noodles, garlic bread, egg curry, borscht
""")
ALLERGENS = _list("""
peanuts, shellfish, penicillin, pollen, cat hair, gluten, strawberries, eggs, soy, sesame, latex,
bee stings, walnuts, milk, mustard, kiwi fruit, celery, aspirin, house dust, mould, almonds,
lupin, ibuprofen, nickel, feathers, cashews, mangoes, wheat, birch pollen, wasp stings, tomatoes
""")
DRINKS = _list("""
green tea, black coffee, oat milk latte, ginger ale, mint tea, espresso, hot chocolate, apple juice,
sparkling water, lemonade, chai, tomato juice, iced tea, cider, cappuccino, orange juice, kombucha,
ginger tea, coconut water, flat white, rooibos tea, elderflower cordial, cold brew, mango lassi
""")
HOBBIES = _list("""
knitting, rock climbing, chess, pottery, birdwatching, salsa dancing, astronomy, woodworking,
photography, baking, archery, fencing, kayaking, calligraphy, gardening, beekeeping, surfing,
origami, table tennis, stamp collecting, yoga, cycling, fishing, painting, horse riding, judo,
model trains, mushroom picking, sailing, bouldering, choir singing, badminton, orienteering
""")
JOBS = _list("""
nurse, carpenter, software engineer, pilot, baker, plumber, librarian, vet, journalist, chef,
dentist, electrician, history teacher, graphic designer, bus driver, lawyer, firefighter, surgeon,
florist, tailor, accountant, pharmacist, architect, translator, geologist, photographer, mechanic,
police officer, music teacher, data analyst, translator, social worker, paramedic, tour guide,
web developer, bookseller, optician, physiotherapist, roofer, train driver, hairdresser, barista
""")
INSTRUMENTS = _list("""
piano, violin, cello, guitar, flute, drums, saxophone, trumpet, harp, banjo, clarinet, accordion,
ukulele, oboe, bass guitar, mandolin, trombone, viola, harmonica, bassoon, French horn, organ
""")
LANGUAGES = _list("""
Spanish, Japanese, Swahili, Portuguese, Arabic, Mandarin, Polish, Turkish, Greek, Hindi, Korean,
Finnish, Dutch, Danish, Russian, Italian, Welsh, Hebrew, Vietnamese, Icelandic, Czech, Hungarian
""")
SPORTS = _list("""
tennis, football, basketball, volleyball, hockey, rugby, swimming, handball, cricket, golf, rowing,
water polo, baseball, squash, karate, gymnastics, ice skating, skiing, curling, triathlon
""")
ANIMALS = _list("""
otter, penguin, red panda, octopus, hedgehog, giraffe, snow leopard, owl, sea turtle, fox, elephant,
koala, dolphin, sloth, tiger, flamingo, raven, seahorse, wolf, capybara, axolotl, badger, lynx
""")
FLOWERS = _list("""
tulips, roses, sunflowers, lilies, orchids, daisies, peonies, irises, violets, lavender, poppies,
snowdrops, dahlias, hyacinths, camellias, jasmine, marigolds, freesias, bluebells, magnolias
""")
GENRES = _list("""
jazz, heavy metal, folk, blues, reggae, techno, opera, bossa nova, hip hop, country, punk, swing,
baroque music, indie rock, soul, ambient, flamenco, bluegrass, disco, house, ska, grunge
""")
SUBJECTS = _list("""
biology, economics, history, physics, philosophy, linguistics, chemistry, law, architecture,
nursing, mathematics, computer science, geography, art history, psychology, marine biology,
political science, music theory, civil engineering, anthropology, statistics, theology, geology
""")
PLACES = _list("""
the kitchen drawer, the top shelf, the garage, the blue box, the desk drawer, the hall cupboard,
the glove compartment, the attic, the cellar, the bathroom cabinet, the old suitcase, the toolbox,
the wardrobe, the bookcase, the garden shed, the laundry basket, the biscuit tin, the piano stool,
the fridge, the bedside table, the sewing box, the filing cabinet, the coat pocket, the green vase,
the letter tray, the shoe rack, the backpack, the spare room, the trunk of the car, the bread bin
""")
MEDICINES = _list("""
metformin, lisinopril, amoxicillin, levothyroxine, omeprazole, sertraline, atorvastatin, ramipril,
cetirizine, naproxen, warfarin, insulin, salbutamol, doxycycline, bisoprolol, gabapentin,
prednisone, losartan, fluoxetine, clopidogrel, loratadine, tramadol, simvastatin, montelukast
""")
GIFTS = _list("""
a silver watch, a leather wallet, a cookbook, a chess set, concert tickets, a silk scarf,
a telescope, a pair of headphones, a coffee grinder, a puzzle, a raincoat,
a bottle of wine, a fountain pen,
a teapot, a board game, a bicycle helmet, a hammock, a photo album, a woollen blanket,
a record player, a pottery course, a bird feeder, a set of knives, a plant pot,
a music box, a picnic basket, a kite
""")
MONTHS = _words(
    "January February March April May June July August September October November December"
)
WEEKDAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
ONSETS = _words("b br c ch d dr f fl g gr h j k kr l m n p pr r s sh st t tr th v w y z bl sk")
VOWELS = _words("a e i o u a e i o ai ei ou ia")
CODAS = ("", "", "", "n", "r", "l", "s", "m", "k", "t", "nd", "x")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
GOODS = _list("""
milk, eggs, rice, candles, batteries, flour, onions, soap, bread, butter, olive oil, apples, tea,
coffee, honey, nails, rope, socks, towels, sugar, carrots, lemons, cheese, yoghurt, garlic, salt,
pepper, cinnamon, lentils, spinach, tomatoes, napkins, matches, string, glue, cucumbers, pears,
oats, raisins, ginger, mushrooms, basil, cream, noodles, beans, vinegar, mustard, walnuts, dates
""")
FEARS = _list("""
spiders, heights, snakes, the dark, thunder, flying, deep water, clowns, needles, dogs, bees,
ghosts, crowds, elevators, mice, public speaking, wasps, tunnels, bridges, moths, sharks, bats
""")
BLOOD_TYPES = _list("""
A positive, B positive, O positive, AB positive, A negative, B negative, O negative, AB negative
""")
SEASONS = _list("""
early spring, late autumn, midsummer, Christmas, the rainy season, harvest time, late summer,
January, the first snow, May, October, Easter, the cherry blossom weeks, Indian summer, carnival
""")
PLURALS = _words("""
stamps coins postcards lanterns spoons teapots clocks maps masks buttons shells fossils bottles
records comics badges keys cameras radios puppets hats vases dolls tickets feathers bells knives
""")
NUMBER_WORDS = _words("one two three four five six seven eight nine ten eleven twelve")
RELATIONS = _words("""
sister brother mother father aunt uncle cousin grandmother grandfather daughter son wife husband
neighbour colleague flatmate boss niece nephew friend
""")
