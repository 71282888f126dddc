"""More wordings for the schemas about tastes, hobbies and habits."""

SCHEMAS = """
+ favourite_food
s {S} could eat {v} every day
s nothing tastes better to {O} than {v}
s {S} {be} crazy about {v}
s for a birthday meal {S} always [ask|asks] for {v}
s when it comes to food {S} [love|loves] {v} most
s {S} [adore|adores] {v}
s the food {S} [like|likes] best is {v}
s the meal that makes {O} happiest is {v}
s if [I|{S}] could eat only one thing, it would be {v}
s {S} can't say no to {v}
q what {do} {S} like to eat most
q what {do} {S} like to eat best
q what could {S} eat every day
q which dish {do} {S} love most
q what meal {do} {S} like best
q what food makes {O} happiest
q what dish {be} {S} crazy about
q what should [you|I] cook to make {O} happy
q which is {P} {word} meal
n {P} {word} meal
n {P} {word} thing to eat
n the dish {S} [like|likes] best
e which dish {S} [love|loves] most
e what {P} {word} dish is
e which food {S} [like|likes] best

+ favourite_drink
s {P} drink of choice is {v}
s at the bar {S} [ask|asks] for {v}
s {S} [go|goes] for {v} when there is a choice of drinks
s nothing quenches {P} thirst like {v}
s {S} could drink {v} all day
s in fact {v} is what {S} [like|likes] to drink
s if you buy {O} a drink, make it {v}
s {P} usual drink is {v}
s {S} [love|loves] a glass of {v}
q what is {P} drink of choice
q which drink {do} {S} like best
q what {do} {S} usually drink
q what {do} {S} order at the bar
q what should [you|I] pour for {O}
q what {do} {S} drink most
q which beverage {do} {S} prefer
q what is {P} usual drink
n {P} drink of choice
n the drink {S} [like|likes] best
n {P} usual drink
e what {S} [like|likes] to drink
e which drink {S} [prefer|prefers]
e what {P} drink of choice is

+ favourite_colour
s {S} [love|loves] the {word} {v}
s if it comes in {v}, {S} will buy it, it is the best {word}
s {S} would paint everything {v}, that is the best {word}
s when it comes to {word}, {S} always [choose|chooses] {v}
s actually {v} is {P} favourite {word}
s {P} best-loved {word} is {v}
s of all the {word} tones {S} [like|likes] {v} most
s {S} [think|thinks] that no {word} is prettier than {v}
s the {word} that suits {O} best is {v}, and it is the favourite one
q what {word} {do} {S} like best
q which {word} {do} {S} prefer
q what {word} {do} {S} love
q which {word} would {S} choose over all others
q what {word} is {P} favourite
q what {word} {do} {S} like most
q which is {P} favourite {word}
n {P} preferred {word}
n the {word} {S} [like|likes] most
e which {word} {S} [like|likes] best
e what {word} {S} [prefer|prefers]

+ favourite_animal
s {S} [love|loves] the {v} more than any other animal
s {S} [have|has] a soft spot for the {v}
s {S} [think|thinks] that no animal beats the {v}
s at the zoo {S} always [go|goes] to see the {v} first
s {P} favourite creature is the {v}
s if [I|{S}] could be an animal, it would be the {v}
s {S} [find|finds] that the {v} is the best animal of all
s of all animals it is the {v} that {S} [like|likes] most
q what animal {do} {S} like best
q which creature {do} {S} love most
q what is {P} favourite creature
q which animal does {P} heart belong to
q which animal would {S} like to be
q which animal {do} {S} have a soft spot for
q what animal {do} {S} go to see first at the zoo
n {P} favourite creature
n the animal {S} [like|likes] best
e what {P} favourite animal is
e what animal {S} [love|loves] most

+ favourite_flowers
s {S} always [buy|buys] {v} for the vase, they are the best flowers
s if you bring {O} flowers, let them be {v}
s of all flowers {S} [like|likes] {v} best
s no bouquet makes {O} happier than {v}
s the flowers {S} [like|likes] most are {v}
s {P} flowers of choice are {v}
s {P} wedding bouquet had {v}, the best flowers of all
s {S} [have|has] a weakness for {v}
q what flowers {do} {S} like most
q which flowers should [you|I] bring {O}
q what kind of flowers {do} {S} love
q which blossoms {do} {S} like best
q what flowers make {O} happy
q what is {P} favourite kind of flower
q which bouquet would make {O} happy
n {P} favourite kind of flower
n the flowers {S} [love|loves] most
e what {P} favourite flowers are
e what flowers {S} [love|loves]

+ favourite_music
s {S} {be} really into {v}
s {P} taste in music is {v}
s the music {S} [listen|listens] to is {v}
s {P} playlist is full of {v}
s when [I drive|{S} drives], the radio plays {v}
s {S} [love|loves] {v} more than any other music
s {S} [put|puts] on {v} whenever there is a chance
s in {P} headphones it is always {v}
s as for music, {S} [prefer|prefers] {v}
s {P} preferred music genre is {v}
q what genre {do} {S} like
q which style of music {do} {S} prefer
q what is {P} taste in music
q what kind of music {be} {S} into
q what kind of music {do} {S} like
q which music genre {do} {S} listen to
q what is on {P} playlist
q what sort of music {do} {S} play all day
n {P} favourite genre
n {P} taste in music
n the music {S} [like|likes] best
e which genre {S} [like|likes]
e what kind of music {S} {be} into
e what {P} taste in music is

+ favourite_book
work = play | album~record | musical | magazine | comic | board game | opera | children's book
s {S} would recommend the {work} {v} to everyone
s of every {work} there is, {S} [like|likes] {v} best
s {S} can't get enough of {v}, the best {work} ever
s yes, {v} is the {work} {S} [like|likes] best
s {P} all-time favourite {work} is {v}
s if you ask {O} for the best {work}, the answer is {v}
s {S} always [come|comes] back to {v}, the {work} of a lifetime
s {S} {be} a huge fan of the {work} {v}
s there is one {work} {S} [rate|rates] above all, {v}
q what {work} {do} {S} like best
q which {work} {do} {S} rate above all others
q what is {P} all-time favourite {work}
q what {work} would {S} recommend to everyone
q which {work} {be} {S} a fan of
q what {work} {do} {S} love
q which {work} {do} {S} like most
q what is the title of {P} favourite {work}
n the {work} {S} [like|likes] best
n {P} all-time favourite {work}
e which {work} {S} [like|likes] best
e what {work} {S} would recommend

+ hobby
s {S} {be} really into {v} in {P} spare time
s {P} favourite pastime is {v}
s {S} [relax|relaxes] with {v}
s when [I am|{S} is] not at work, it is all about {v}
s {S} recently got into {v} as a hobby
s {P} great passion is {v}
s it so happens that {v} is what {S} [do|does] for fun
s {S} [do|does] {v} as a hobby
s after work {S} [unwind|unwinds] with {v}
s the hobby {S} picked up is {v}
q what {do} {S} do for fun
q what is {P} favourite pastime
q what {do} {S} do in {P} spare time
q how {do} {S} spend {P} free time
q what {do} {S} do to relax
q what are {P} weekends filled with
q what is {P} passion
q what did {S} take up recently
q how {do} {S} unwind
n {P} pastime
n {P} favourite pastime
n the thing {S} [do|does] for fun
e what {S} [do|does] for fun
e how {S} [spend|spends] {P} free time
e which hobby {S} [have|has]

+ instrument
s {S} [practise|practises] the {v} every evening
s {P} instrument is the {v}
s {S} learned to play the {v} as a child
s on stage {S} [play|plays] the {v}
s {S} {be} quite good on the {v}
s {S} [have|has] a lesson on the {v} every week
s in the orchestra {S} [sit|sits] behind the {v}
s it is the {v} that {S} [play|plays]
s {S} [make|makes] music on the {v}
q what instrument {do} {S} practise
q which instrument did {S} learn
q what instrument {be} {S} learning
q what {do} {S} play in the orchestra
q what {do} {S} make music on
q what is {P} instrument
q which musical instrument {do} {S} play
q what musical instrument {be} {S} good at
n {P} musical instrument
n the instrument {S} [practise|practises]
e what instrument {S} [play|plays]
e what {P} instrument is

+ learning
s {S} {be} trying to pick up some {v}
s {S} {be} studying {v} with an app
s {S} signed up for a {v} course
s the language {S} {be} learning is {v}
s {S} [practise|practises] {v} every morning
s {S} {be} working on {P} {v}
s {S} [want|wants] to become fluent in {v}
s {P} new language is {v}
s for the move {S} [have|has] to learn {v}
q which language {do} {S} take classes in
q what language did {S} start to learn
q what language {do} {S} want to become fluent in
q which language {do} {S} practise
q what language {be} {S} studying
q what tongue {be} {S} trying to pick up
q which language course did {S} sign up for
q what new language {be} {S} working on
n {P} new language
n the language {S} [practise|practises]
e what language {S} {be} learning
e which language {S} {be} studying

+ sport
s {S} [train|trains] for {v} twice a week
s to stay fit {S} [go|goes] for {v}
s the sport {S} [do|does] is {v}
s {S} {be} in a club for {v}
s {S} [work|works] up a sweat with {v}
s {P} favourite sport to practise is {v}
s {S} took up {v} to get in shape
s {S} [have|has] {v} training on weekdays
s in fact {v} is {P} sport
s the doctor told {O} to move more, so it is {v} now
q what sport {do} {S} do
q what {do} {S} train for
q what {do} {S} do to stay in shape
q how {do} {S} keep fit
q what kind of exercise {do} {S} do
q which sport did {S} take up
q how {do} {S} stay in shape
q what sport {be} {S} into
q what does {P} training consist of
n the sport {S} [do|does]
n {P} kind of exercise
e what sport {S} [do|does]
e how {S} [keep|keeps] fit
e what {P} sport is

+ dislike
s {S} would never eat {v}
s you can chase {O} away with {v}
s {S} [find|finds] {v} disgusting
s please don't serve {O} any {v}
s {S} won't touch {v}
s the food {S} [hate|hates] most is {v}
s {P} least favourite food is {v}
s {S} [leave|leaves] {v} on the plate every time
s {S} never liked {v}
s {S} [am|is] not a fan of {v}
q what is {P} least favourite food
q what would {S} never eat
q which dish {do} {S} find disgusting
q what should [you|I] not cook for {O}
q what {do} {S} refuse to eat
q what food {be} {S} not a fan of
q which dish can't {S} stand
q what won't {S} touch at the table
q what {do} {S} not like to eat
n {P} least favourite food
n the dish {S} can't stand
n the food {S} [dislike|dislikes] most
e what {S} would never eat
e what food {S} [hate|hates]
e which dish {S} can't stand

+ breakfast
s {S} always [eat|eats] {v} for {meal}
s {P} usual {meal} is {v}
s when it is time for {meal}, {S} [reach|reaches] for {v}
s {S} [like|likes] to have {v} for {meal}
s actually {v} is what {S} [have|has] for {meal}
s {P} plate for {meal} is filled with {v}
s {S} can't do without {v} for {meal}
s as {meal} {S} [take|takes] {v}
q what {do} {S} eat for {meal}
q what did {S} have for {meal}
q what is on {P} plate for {meal}
q what {do} {S} like to have for {meal}
q what is {P} choice for {meal}
q what food {do} {S} pick for {meal}
q which food {do} {S} have as {meal}
n the food {S} [have|has] for {meal}
n {P} usual choice for {meal}
e what {S} [eat|eats] for {meal}
e what {P} choice for {meal} is

+ pizza_topping
s {S} always [order|orders] a pizza with {v}
s a pizza without {v} is no pizza to {O}
s {P} favourite pizza topping is {v}
s when [we|they] order pizza, {S} [ask|asks] for {v} on top
s {S} [put|puts] {v} on every pizza
s {S} [want|wants] extra {v} on the pizza
q what {do} {S} put on a pizza
q what should be on {P} pizza
q what {do} {S} want on top of the pizza
q which pizza topping {do} {S} prefer
q what is {P} favourite pizza topping
q what pizza {do} {S} order
q what goes on {P} pizza
n {P} favourite pizza topping
n the topping {S} [like|likes] on a pizza
e which topping {S} [like|likes] on a pizza
e what {S} [want|wants] on a pizza
"""
