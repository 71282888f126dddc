"""Schemas about appointments, travel, events and plans."""

SCHEMAS = """
# appointment moment me person
what = dentist appointment | doctor's appointment | haircut | job interview | driving test | eye
  test | meeting with the bank | car inspection | piano lesson | vet appointment | therapy session
  | parent evening | massage | viewing of the flat
s {P} {what} is on {v}
s {S} {have} a {what} on {v}
s {P} {what} was set for {v}
s {P} {what} is scheduled for {v}
q when is {P} {what}
q what time and day is {P} {what}
q when {do} {S} have {P} {what}
n the time of {P} {what}
n the date of {P} {what}
e when {P} {what} is

# meeting clock none
what = team meeting | budget review | call with the client | weekly stand-up | book club | choir
  rehearsal | yoga class | swimming lesson | lunch with the investors | school play | football
  practice | board meeting
s the {what} starts at {v}
s the {what} is at {v}
s they moved the {what} to {v}
s we agreed on {v} for the {what}
a The {what} starts at {v}.
a I have put the {what} in your calendar at {v}.
q when does the {what} start
q what time is the {what}
q at what time is the {what}
n the time of the {what}
n the starting time of the {what}
e when the {what} starts
e what time the {what} is

# deadline date none
what = tax return | thesis | grant proposal | quarterly report | visa application | rent payment |
  scholarship form | manuscript | science project | car insurance renewal
s the deadline for the {what} is {v}
s the {what} is due on {v}
s I have to hand in the {what} by {v}
a The deadline for the {what} is {v}.
q when is the deadline for the {what}
q when is the {what} due
q by when do I have to finish the {what}
n the deadline for the {what}
n the due date of the {what}
e when the {what} is due

# event_date date none
what = wedding | housewarming party | school reunion | marathon | concert | graduation | family
  reunion | garden party | exhibition | moving day | baby shower | village fair
s the {what} is on {v}
s the {what} takes place on {v}
s we picked {v} for the {what}
a I noted the {what} for {v}.
q when is the {what}
q on which date is the {what}
q what is the date of the {what}
n the date of the {what}
e when the {what} is

# flight alnum none
what = flight to the conference | flight home | flight to the wedding | return flight | connecting
  flight | train to the coast | ferry to the island | night train
s the number of my {what} is {v}
s my {what} has the number {v}
a The number of your {what} is {v}.
q what is the number of my {what}
q which number does my {what} have
n the number of my {what}
e what the number of my {what} is

# gate alnum none
what = gate for the flight | seat on the train | seat at the theatre | seat on the plane |
  platform | parking space | table at the fair
s my {what} is {v}
s they assigned me the {what}, number {v}
a Your {what} is {v}.
q what is my {what}
q which {what} do I have
n my {what}
e what my {what} is

# trip city me person
when = next summer | in spring | next month | this autumn | over Christmas | next weekend | at
  Easter | for the honeymoon
s {S} {be} travelling to {v} {when}
s {S} {be} going to {v} {when}
s {when} {S} [want|wants] to visit {v}
s the trip {S} [have|has] planned {when} goes to {v}
q where {be} {S} going {when}
q where {be} {S} travelling {when}
q which place {do} {S} want to visit {when}
n the place {S} {be} going to {when}
e where {S} {be} going {when}

# hotel venue none
what = conference | holiday | wedding weekend | business trip | ski trip | city break
s the hotel for the {what} is {v}
s for the {what} I booked a room at {v}
s we are staying at {v} during the {what}
a For the {what} I booked you a room at {v}.
q which hotel is booked for the {what}
q where are we staying during the {what}
q what is the hotel for the {what} called
n the hotel for the {what}
e which hotel is booked for the {what}

# room number none
what = conference | seminar | chemistry exam | job interview | workshop | hotel stay | language
  course | hospital visit
s the room for the {what} is {v}
s the {what} is in room {v}
a The {what} is in room {v}.
q which room is the {what} in
q what is the room number for the {what}
n the room number for the {what}
e which room the {what} is in

# restaurant venue none
what = anniversary dinner | birthday lunch | team dinner | first date | farewell party | reunion
  brunch
s the {what} is at {v}
s we booked a table at {v} for the {what}
s for the {what} we chose {v}
a I reserved a table at {v} for the {what}.
q where is the {what}
q which restaurant did we choose for the {what}
q where did we book a table for the {what}
n the restaurant for the {what}
e where the {what} is

# gift gift me
who = my mother~my mum | my father~my dad | my sister | my brother | my boss | my wife | my
  husband | my niece | my grandson | my neighbour | my best friend | the teacher
s I want to give {who} {v}
s I bought {who} {v}
s as a present for {who} I chose {v}
s the gift for {who} is {v}
q what did I choose as a present for {who}
q what am I giving {who}
q what is the gift for {who}
n the present for {who}
n the gift for {who}
e what I am giving {who}

# guests small none
what = wedding | birthday party | barbecue | dinner on the boat | reunion | workshop | school trip
  | costume party
s there are {v} people coming to the {what}
s we expect {v} guests at the {what}
s the number of guests at the {what} is {v}
q how many guests do we expect at the {what}
q how many people are coming to the {what}
n the number of guests at the {what}
e how many people are coming to the {what}

# duration duration none
what = hike | train ride | operation | course | flight | renovation | film | rehearsal | contract
  | exam | ferry crossing
s the {what} takes {v}
s the {what} lasts {v}
s they told me the {what} takes {v}
q how long does the {what} take
q how long is the {what}
q what is the length of the {what} in time
n the length of the {what}
e how long the {what} takes

# theme phrase none
what = costume party | school dance | art show | photo contest | writing workshop | charity gala
s the theme of the {what} is {v}
s they chose {v} as the theme for the {what}
q what is the theme of the {what}
q which theme did they choose for the {what}
n the theme of the {what}
e what the theme of the {what} is

# contact fullname none
what = plumber | caterer | wedding photographer | estate agent | babysitter | mechanic | insurance
  agent | tax adviser | piano tuner | travel agent | electrician | gardener | dog walker
s the {what} is called {v}
s the {what} we hired is {v}
s the name of the {what} is {v}
a The {what} is called {v}.
q what is the {what} called
q who is the {what}
q what is the name of the {what}
n the name of the {what}
e what the {what} is called
"""
