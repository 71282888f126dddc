"""Schemas about people and pets: names, family, tastes, health."""

SCHEMAS = """
# pet_name petname me person
pet = dog~puppy | cat | parrot | rabbit~bunny | hamster | tortoise | horse | goldfish | guinea pig
s {P} {pet} is called {v}
s {P} {pet}'s name is {v}
s {S} {have} a {pet} called {v}
s {S} {have} a {pet} named {v}
s [I named my|the name of {S} and family's] {pet} {v}
s the name of {P} {pet} is {v}
s [I just got|{S} just got] a {pet} and named it {v}
q what is {P} {pet} called
q what is the name of {P} {pet}
q what is {P} {pet}'s name
q how is {P} {pet} called
q which name {do} {P} {pet} have
n the name of {P} {pet}
n {P} {pet}'s name
e what {P} {pet} is called
e what {P} {pet}'s name is
e how {P} {pet} is called

# relative_name first me
rel = sister | brother | mother~mum | father~dad | aunt | uncle | cousin | grandmother~grandma | grandfather~grandpa | daughter | son | wife | husband | boss~manager | neighbour | landlord | flatmate~roommate | best friend | dentist | hairdresser | piano teacher | tennis partner | accountant
s my {rel} is called {v}
s my {rel}'s name is {v}
s the name of my {rel} is {v}
s my {rel} goes by the name {v}
s I have to call my {rel}, {v}, later today
s my {rel}, whose name is {v}, sends greetings
q what is my {rel} called
q what is my {rel}'s name
q what is the name of my {rel}
q who is my {rel}
n the name of my {rel}
n my {rel}'s name
e what my {rel} is called
e what my {rel}'s name is
e who my {rel} is

# doctor doctor me person
kind = doctor | dentist | therapist | lawyer | vet | tutor
s {P} {kind} is {v}
s {S} [see|sees] a {kind} called {v}
s {P} new {kind} is {v}
s {P} {kind} goes by {v}
q who is {P} {kind}
q what is {P} {kind} called
q which {kind} {do} {S} see
n the name of {P} {kind}
e who {P} {kind} is
e which {kind} {S} [see|sees]

# allergy allergen me person
s {S} {be} allergic to {v}
s {S} {have} an allergy to {v}
s {S} [have|has] a bad reaction to {v}
s the doctor says {S} {be} allergic to {v}
s {S} [need|needs] to avoid {v} because of an allergy
q what {be} {S} allergic to
q which allergy {do} {S} have
q what {do} {S} have to avoid because of an allergy
n {P} allergy
n the thing {S} {be} allergic to
e what {S} {be} allergic to
e which allergy {S} {have}

# birthday date me person
s {P} birthday is on {v}
s {P} birthday is {v}
s {S} [celebrate my|celebrates a] birthday on {v}
s {S} [was|was] born on {v}
q when is {P} birthday
q what day is {P} birthday
q on which day {do} {S} have a birthday
q when {was} {S} born
n the date of {P} birthday
n {P} birthday
e when {P} birthday is
e when {S} {was} born

# birth_year year me person
s {S} {was} born in {v}
s {P} year of birth is {v}
q in which year {was} {S} born
q what is {P} year of birth
n {P} year of birth
e in which year {S} {was} born

# home_city city me person
s {S} [live|lives] in {v}
s {P} home is in {v}
s {S} [have|has] been living in {v} for a while
s {S} [am|is] based in {v}
s these days {S} [live|lives] in {v}
q where {do} {S} live
q which city {do} {S} live in
q in which city {be} {S} living
q where {be} {S} based
n the city where {S} [live|lives]
n the place where {S} [live|lives]
e where {S} [live|lives]
e which city {S} [live|lives] in

# grew_up city me person
s {S} grew up in {v}
s {S} spent {P} childhood in {v}
s {S} [come|comes] from {v} originally
q where did {S} grow up
q where did {S} spend {P} childhood
q in which town did {S} grow up
n the place where {S} grew up
e where {S} grew up

# job job me person
s {S} [work|works] as a {v}
s {S} {be} a {v} by trade
s {P} job is {v}
s {S} [earn my|earns a] living as a {v}
q what {do} {S} do for a living
q what is {P} job
q what is {P} profession
q what {do} {S} work as
n {P} job
n {P} profession
e what {S} [do|does] for a living
e what {P} job is

# employer company me person
s {S} [work|works] for {v}
s {S} [work|works] at a company called {v}
s {P} employer is {v}
s {S} [have|has] a job at {v}
q which company {do} {S} work for
q where {do} {S} work
q who is {P} employer
n {P} employer
n the company {S} [work|works] for
e which company {S} [work|works] for
e who {P} employer is

# studies subject me person
s {S} [study|studies] {v} at university
s {S} [am|is] doing a degree in {v}
s {P} degree is in {v}
q what {do} {S} study
q what subject {do} {S} study at university
q what is {P} degree in
n the subject {S} [study|studies]
n {P} subject at university
e what {S} [study|studies]

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
s {S} [play|plays] {v} every week
s {P} sport is {v}
s {S} [do|does] {v} to keep fit
q which sport {do} {S} do
q what is {P} sport
n {P} sport
e which sport {S} [do|does]

# age age me person
s {S} {be} {v} years old
s {S} just turned {v}
s {P} age is {v}
q how old {be} {S}
q what is {P} age
n {P} age
e how old {S} {be}

# medicine medicine me person
s {S} [take|takes] {v} every morning
s {P} doctor put {O} on {v}
s {P} prescription is for {v}
q which medicine {do} {S} take
q what medication {be} {S} on
n {P} medicine
n the medicine {S} [take|takes]
e which medicine {S} [take|takes]

# shoe_size small me person
size = shoe size | ring size | hat size | jacket size
s {P} {size} is {v}
s for {P} {size}, please note {v}
q what is {P} {size}
q which {size} {do} {S} have
n {P} {size}
e what {P} {size} is

# nickname petname me person
s {P} nickname is {v}
s friends call {O} {v}
s everyone at school called {O} {v}
q what is {P} nickname
q what do friends call {O}
n {P} nickname
e what {P} nickname is
"""
