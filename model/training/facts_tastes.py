"""Schemas about tastes, hobbies and habits."""

SCHEMAS = """
# favourite_food food me person
word = favourite~favorite
s {P} {word} food is {v}
s {P} {word} dish is {v}
s {S} [love|loves] {v} more than any other food
s of all dishes {S} [like|likes] {v} best
q what is {P} {word} food
q what is {P} {word} dish
q which food {do} {S} like best
n {P} {word} food
n {P} {word} dish
e what {P} {word} food is
e what {S} [like|likes] to eat most

# favourite_drink drink me person
s {P} favourite drink is {v}
s {S} [like|likes] to drink {v} best
s {S} always [order|orders] {v}
q what is {P} favourite drink
q what {do} {S} like to drink
n {P} favourite drink
e what {P} favourite drink is
e what {S} always [order|orders] to drink

# favourite_colour colour me person
word = colour~color
s {P} favourite {word} is {v}
s the {word} {S} [like|likes] best is {v}
s {S} [prefer|prefers] {v} over every other {word}
q what is {P} favourite {word}
q which {word} {do} {S} like best
n {P} favourite {word}
e what {P} favourite {word} is
e which {word} {S} [prefer|prefers]

# favourite_animal animal me person
s {P} favourite animal is the {v}
s the animal {S} [like|likes] most is the {v}
q what is {P} favourite animal
q which animal {do} {S} like most
n {P} favourite animal
e which animal {S} [like|likes] most

# favourite_flowers flowers me person
s {P} favourite flowers are {v}
s {S} [love|loves] {v} more than other flowers
q what are {P} favourite flowers
q which flowers {do} {S} like best
n {P} favourite flowers
e which flowers {S} [like|likes] best

# favourite_music genre me person
s {P} favourite kind of music is {v}
s {S} mostly [listen|listens] to {v}
q what is {P} favourite kind of music
q what music {do} {S} listen to
n {P} favourite kind of music
e what music {S} mostly [listen|listens] to

# favourite_book title me person
work = book~novel | film~movie | band | song | video game | podcast | TV show~series
s {P} favourite {work} is {v}
s the {work} {S} [love|loves] most is {v}
s no {work} is better than {v} [in my opinion|according to {S}]
q what is {P} favourite {work}
q which {work} {do} {S} love most
n {P} favourite {work}
n the title of {P} favourite {work}
e what {P} favourite {work} is
e which {work} {S} [love|loves] most

# hobby hobby me person
s {P} hobby is {v}
s {S} [spend|spends] most weekends on {v}
s {S} [have|has] recently taken up {v}
s in {P} free time {S} [enjoy|enjoys] {v}
q what is {P} hobby
q what {do} {S} do in {P} free time
q which hobby {do} {S} have
n {P} hobby
e what {P} hobby is
e what {S} [do|does] in {P} free time

# instrument instrument me person
s {S} [play|plays] the {v}
s {S} [have|has] played the {v} for years
s {S} [am|is] taking lessons on the {v}
q which instrument {do} {S} play
q what instrument {do} {S} play
n the instrument {S} [play|plays]
n {P} instrument
e which instrument {S} [play|plays]

# learning language me person
s {S} {be} learning {v}
s {S} [take|takes] evening classes in {v}
s {S} [have|has] started to learn {v}
q which language {be} {S} learning
q what language {be} {S} learning
n the language {S} {be} learning
e which language {S} {be} learning

# sport sport me person
s {S} [do|does] some {v} every week
s {P} way to keep fit is {v}
s {P} sport is {v}
s {S} [do|does] {v} to keep fit
q which sport {do} {S} do
q what is {P} sport
q what {do} {S} do to keep fit
n {P} sport
e which sport {S} [do|does]

# dislike food me person
s {S} really [dislike|dislikes] {v}
s {S} [hate|hates] {v}
s {S} {do} not like {v} at all
s {S} [can't|can't] stand {v}
q which food {do} {S} dislike
q what food {do} {S} hate
q what can't {S} stand to eat
n the food {S} [hate|hates]
e which food {S} [dislike|dislikes]

# breakfast food me person
meal = breakfast | lunch | dinner | a snack
s for {meal} {S} usually [have|has] {v}
s {S} had {v} for {meal} today
s {P} choice for {meal} is {v}
q what {do} {S} have for {meal}
q what {do} {S} usually eat for {meal}
n {P} choice for {meal}
e what {S} [have|has] for {meal}

# pizza_topping allergen me person
s on a pizza {S} [like|likes] {v} most
s {P} pizza always comes with {v}
q what {do} {S} like on a pizza
q which topping {do} {S} like on a pizza
n {P} pizza topping
e what {S} [like|likes] on a pizza

# favourite_city city me person
s {P} favourite city is {v}
s {S} [like|likes] {v} more than any other city
s the city {S} [love|loves] most is {v}
q what is {P} favourite city
q which city {do} {S} like most
n {P} favourite city
e what {P} favourite city is
e which city {S} [like|likes] most

# favourite_season season me person
s {P} favourite time of the year is {v}
s {S} [like|likes] {v} best of all times of the year
q what is {P} favourite time of the year
q which time of the year {do} {S} like best
n {P} favourite time of the year
e which time of the year {S} [like|likes] best

# favourite_place venue me person
kind = restaurant | cafe~coffee shop | bar~pub | museum | bookshop | park | hotel
s {P} favourite {kind} is {v}
s the {kind} {S} [like|likes] best is {v}
s {S} often [go|goes] to a {kind} called {v}
q what is {P} favourite {kind}
q which {kind} {do} {S} like best
n {P} favourite {kind}
n the name of {P} favourite {kind}
e what {P} favourite {kind} is
e which {kind} {S} [like|likes] best

# favourite_person fullname me person
kind = singer | actor | writer~author | painter | football player | comedian | composer | poet |
  chef
s {P} favourite {kind} is {v}
s the {kind} {S} [admire|admires] most is {v}
s {S} {be} a big fan of the {kind} {v}
q who is {P} favourite {kind}
q which {kind} {do} {S} admire most
n {P} favourite {kind}
e who {P} favourite {kind} is
e which {kind} {S} [admire|admires] most

# team made_up me person
s {S} [support|supports] the team {v}
s {P} favourite team is {v}
s {S} {be} a fan of {v}
q which team {do} {S} support
q what is {P} favourite team
n {P} favourite team
n the team {S} [support|supports]
e which team {S} [support|supports]

# collects collection me person
s {S} [collect|collects] {v}
s {S} {have} a collection of {v}
s the shelves are full of {v} because {S} [collect|collects] them
q what {do} {S} collect
q what kind of collection {do} {S} have
n the things {S} [collect|collects]
e what {S} [collect|collects]

# afraid_of fear me person
s {S} {be} afraid of {v}
s {S} {be} scared of {v}
s {P} biggest fear is {v}
q what {be} {S} afraid of
q what is {P} biggest fear
q what {be} {S} scared of
n {P} biggest fear
e what {S} {be} afraid of
e what {S} {be} scared of

# lucky_number small me person
s {P} lucky number is {v}
s {S} always [pick|picks] {v} as a lucky number
q what is {P} lucky number
q which lucky number {do} {S} have
n {P} lucky number
e what {P} lucky number is

# dream dreamjob me person
s as a child {S} wanted to become a {v}
s {P} childhood dream was to be a {v}
q what did {S} want to become as a child
q what was {P} childhood dream
n {P} childhood dream
e what {S} wanted to become as a child

# habit clock me
what = get up | go to bed | go for a run | have dinner | leave the house | walk the dog | do yoga
s {S} [usually|usually] {what} at {v}
s the time to {what} is {v} for {O}
q at what time {do} {S} {what}
q when {do} {S} {what}
q what time {do} {S} usually {what}
n the time at which {S} {what}
e when {S} {what}
"""
