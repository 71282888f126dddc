"""Schemas about everyday life: lists, errands, school, travel details, health, work in progress."""

SCHEMAS = """
# shopping_list goods none
list = shopping list | packing list | list for the bakery | list for the hardware store | picnic
  list
s on my {list} are {v}
s the {list} says {v}
s please put {v} on my {list}
s we need to add {v} to the {list}
q what is on my {list}
q what did I put on the {list}
q which things are on my {list}
n the content of my {list}
n my {list}
e what is on my {list}

# ingredients goods none
dish = soup | birthday cake | curry | salad | stew | smoothie | pasta sauce
s for the {dish} I need {v}
s the {dish} is made with {v}
s you need {v} for the {dish}
a For the {dish} you need {v}.
q what do I need for the {dish}
q which ingredients go into the {dish}
q what is the {dish} made with
n the ingredient list of the {dish}
e what I need for the {dish}

# team_members people none
team = quiz team | project team | band | search committee | relay team | book club | car pool
s in the {team} are {v}
s the members of the {team} are {v}
s the {team} consists of {v}
q who is in the {team}
q who are the members of the {team}
n the members of the {team}
e who is in the {team}

# teacher doctor me person
subject = maths | French | swimming | history | piano | driving | art | chemistry | dance
s {P} {subject} teacher is {v}
s the {subject} lessons {S} [take|takes] are with {v}
s {S} [learn|learns] {subject} with {v}
q who is {P} {subject} teacher
q who teaches {O} {subject}
q what is {P} {subject} teacher called
n {P} {subject} teacher
n the name of {P} {subject} teacher
e who {P} {subject} teacher is

# grade grade me person
subject = maths | physics | biology | German | music | geography | history | literature
s {S} got {v} in {subject}
s {P} result in {subject} is {v}
s the {subject} exam gave {O} {v}
q what did {S} get in {subject}
q what is {P} result in {subject}
n {P} result in {subject}
e what {S} got in {subject}

# bus bus none
where = to work | to the airport | to the hospital | to the stadium | to school | to the beach |
  downtown
s the bus {where} is line {v}
s to get {where} take line {v}
s line {v} goes {where}
a To get {where} you take line {v}.
q which bus goes {where}
q which line do I take {where}
q what line goes {where}
n the bus line {where}
e which line goes {where}

# bus_time clock none
what = first bus | last train | night ferry | school bus | airport shuttle | tram to the fair
s the {what} leaves at {v}
s the {what} departs at {v}
s they say the {what} goes at {v}
a The {what} leaves at {v}.
q when does the {what} leave
q what time does the {what} depart
q at what time does the {what} go
n the departure time of the {what}
e when the {what} leaves

# opening clock none
what = pharmacy | library | swimming pool | museum | post office | bakery on the corner | zoo |
  hardware store
s the {what} opens at {v}
s the {what} is open from {v}
s from {v} on the {what} is open
a The {what} opens at {v}.
q when does the {what} open
q what time does the {what} open
q from when is the {what} open
n the opening time of the {what}
e when the {what} opens

# pick_up clock none
who = the kids | the parcel | Grandma | the cake | the car | the keys | the guests | the dry
  cleaning
s I have to pick up {who} at {v}
s {who} must be picked up at {v}
s we agreed to pick up {who} at {v}
q when do I have to pick up {who}
q at what time do I pick up {who}
q what time should {who} be picked up
n the time to pick up {who}
e when I have to pick up {who}

# meeting_place venue none
who = Sam from accounting | the lawyer | the journalist | my old classmates | the photographer |
  my tutor | the estate agent | the landlord
s I am meeting {who} at {v}
s the meeting with {who} is at {v}
s {who} wants to meet me at {v}
q where am I meeting {who}
q where is the meeting with {who}
q at which place do I meet {who}
n the place where I meet {who}
e where I am meeting {who}

# borrowed thing none
who = the neighbours | the librarian | my cousin | my colleague | the teacher | the gardener | my
  roommate | the landlady
s I borrowed {v} from {who}
s {who} lent me {v}
s I still have to return {v} to {who}
q what did I borrow from {who}
q what did {who} lend me
q what do I have to return to {who}
n the thing I borrowed from {who}
e what I borrowed from {who}

# owes price none
who = the plumber | my cousin | the bookshop | my roommate | the tax office | the tailor | the
  dentist
s I owe {who} {v}
s I have to pay {who} {v}
s my debt to {who} is {v}
q how much do I owe {who}
q what do I have to pay {who}
q how much money do I owe {who}
n the amount I owe {who}
e how much I owe {who}

# salary price me person
s {P} salary is {v} a month
s {S} [earn|earns] {v} a month
s every month {S} [get|gets] {v}
q how much {do} {S} earn
q what is {P} salary
n {P} salary
n {P} monthly pay
e how much {S} [earn|earns]

# dose measure_ml none
drug = cough syrup | antibiotic | vitamin drops | painkiller | iron tonic
s the dose of the {drug} is {v}
s I have to take {v} of the {drug}
s the doctor said to take {v} of the {drug}
a The dose of the {drug} is {v}.
q what is the dose of the {drug}
q how much of the {drug} do I have to take
n the dose of the {drug}
e how much of the {drug} I have to take

# blood_pressure ratio me person
s {P} blood pressure is {v}
s {P} blood pressure was {v} this morning
s the nurse measured {v} for {P} blood pressure
q what is {P} blood pressure
q what was {P} blood pressure this morning
n {P} blood pressure
e what {P} blood pressure is

# version version none
what = operating system | firmware | app | database | compiler | library we use | website
s the {what} is at version {v}
s we run version {v} of the {what}
s the current version of the {what} is {v}
a The {what} is at version {v}.
q which version of the {what} do we run
q what is the current version of the {what}
n the version of the {what}
e which version of the {what} we run

# branch slug none
what = release | hotfix | login page | payment feature | search rewrite | new parser
s the branch for the {what} is {v}
s the {what} lives in the branch {v}
s I pushed the {what} to {v}
q which branch is for the {what}
q what is the branch for the {what}
q where did I push the {what}
n the branch for the {what}
e which branch is for the {what}

# file_name filename none
what = contract | slides | budget | invoice | thesis | photos | meeting notes | report
s the {what} is in the file {v}
s I saved the {what} as {v}
s the file with the {what} is called {v}
a I saved the {what} as {v} for you.
q which file is the {what} in
q what did I save the {what} as
q what is the file with the {what} called
n the file with the {what}
e which file the {what} is in

# goal number me
what = pages this year | push-ups a day | kilometres this month | words a day | books this year |
  laps in the pool
s my goal is {v} {what}
s I aim for {v} {what}
s I want to do {v} {what}
q how many {what} are my goal
q how many {what} do I aim for
n my goal in {what}
e how many {what} I aim for

# channel slug none
what = design team | customer support | release planning | sales group | lunch crowd | night shift
s the chat channel of the {what} is {v}
s the {what} talks in the channel {v}
s you find the {what} in the channel {v}
q which channel does the {what} use
q what is the chat channel of the {what}
n the chat channel of the {what}
e which channel the {what} uses

# client company none
what = biggest client | new supplier | main competitor | bank | insurance company | law firm |
  landlord's agency | phone company
s our {what} is {v}
s the name of our {what} is {v}
s our {what} is called {v}
q what is our {what} called
q who is our {what}
q what is the name of our {what}
n the name of our {what}
e who our {what} is

# seat_count small none
what = bus | boat | meeting room | cinema | van | lecture hall | tent
s the {what} has room for {v} people
s at most {v} people fit into the {what}
s the {what} holds {v} people
q how many people fit into the {what}
q how many people does the {what} hold
n the number of people that fit into the {what}
e how many people fit into the {what}

# temperature degrees none
what = oven | greenhouse | fridge | sauna | aquarium | wine cellar | pool
s set the {what} to {v}
s the {what} should be at {v}
s the right temperature for the {what} is {v}
a The {what} should be at {v}.
q what temperature should the {what} be
q to how many degrees do I set the {what}
q what is the right temperature for the {what}
n the temperature of the {what}
e what temperature the {what} should be

# plant_water every none
what = orchid | cactus | fern | tomato plants | bonsai | lemon tree | ivy
s the {what} needs water {v}
s I water the {what} {v}
s the {what} has to be watered {v}
q how often does the {what} need water
q how often do I water the {what}
n the watering rhythm of the {what}
e how often the {what} needs water

# film_night title none
when = tonight | on Friday | at the weekend | tomorrow | on Sunday
s {when} we are watching {v}
s the film {when} is {v}
s we picked {v} for the film night {when}
q what are we watching {when}
q which film did we pick {when}
n the film {when}
e what we are watching {when}

# cook food none
when = tonight | tomorrow | on Saturday | for the guests | for the party | on Monday
s I am cooking {v} {when}
s {when} there will be {v}
s I want to make {v} {when}
q what am I cooking {when}
q what will I make to eat {when}
n the dish {when}
e what I am cooking {when}

# costume costume me person
s for the carnival {S} will dress up as {v}
s {P} costume this year is {v}
s {S} [want|wants] to go to the party as {v}
q what will {S} dress up as
q what is {P} costume this year
n {P} costume
e what {P} costume is

# warranty date none
what = washing machine | phone | mattress | camera | toaster | car battery | bike
s the warranty of the {what} ends on {v}
s the {what} is under warranty until {v}
s until {v} the {what} is still under warranty
q when does the warranty of the {what} end
q until when is the {what} under warranty
n the end of the warranty of the {what}
e when the warranty of the {what} ends

# return_by date none
what = library book | rental car | parking permit | rented drill | ski boots | library DVD | hired
  suit
s the {what} has to be returned by {v}
s I have to bring back the {what} by {v}
s the {what} is due back on {v}
q when do I have to return the {what}
q when is the {what} due back
n the return date of the {what}
e when I have to return the {what}

# brand made_up none
what = running shoes | shampoo | toothpaste | tyres | tea | cat food | paint | headphones |
  detergent
s the brand of the {what} is {v}
s I always buy {what} by {v}
s the {what} I like is made by {v}
q which brand of {what} do I like
q what brand of {what} do I buy
n the brand of my {what}
e which brand of {what} I buy

# emergency first me person
s {P} emergency contact is {v}
s in an emergency call {v} for {O}
s if something happens to {O}, please call {v}
q who is {P} emergency contact
q who should be called for {O} in an emergency
n {P} emergency contact
e who {P} emergency contact is

# capital_of made_up none
land = my board game | my novel | the fantasy story | the campaign | my daughter's drawing
who = hero | villain | dragon | kingdom | sword | horse | witch
s in {land} the {who} is called {v}
s the {who} in {land} has the name {v}
s the name of the {who} in {land} is {v}
q what is the {who} in {land} called
q what is the name of the {who} in {land}
n the name of the {who} in {land}
e what the {who} in {land} is called
"""
