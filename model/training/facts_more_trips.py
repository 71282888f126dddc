"""Schemas about travel, times, dates, meetings and free time."""

SCHEMAS = """
# departure clock_time none
what = coach to Vienna | sleeper train | morning ferry | transfer to the hotel | boat to the seals
  | cable car | tour bus | shuttle to the fair | helicopter flight
s the {what} leaves at {v}
s the {what} departs at {v}
s the {what} goes at {v}
s we have to catch the {what} at {v}
s the departure of the {what} is at {v}
s according to the timetable, the {what} sets off at {v}
s the {what} is now leaving at {v}
s be there in time, as the {what} starts at {v}
a The {what} leaves at {v}.
q when does the {what} leave
q what time does the {what} depart
q at what time does the {what} go
q when do we have to catch the {what}
q when is the departure of the {what}
q when does the {what} set off
q what does the timetable say for the {what}
q by when must we be at the {what}
n the departure time of the {what}
n the time the {what} leaves
n the time of the {what}
n the departure of the {what}
e when the {what} leaves
e what time the {what} departs
e when we have to catch the {what}

# gate_number gate_no none
what = flight to Nairobi | flight to Lima | morning flight | connection in Doha | charter flight |
  delayed flight | cargo pick-up | airport lounge
s the {what} is at {v}
s the {what} goes from {v}
s for the {what} we have to go to {v}
s the screen shows {v} for the {what}
s the place to be for the {what} is {v}
s they moved the {what} to {v}
s the boarding pass for the {what} says {v}
s passengers of the {what} should come to {v}
q from where does the {what} go
q which gate is the {what} at
q where do I go for the {what}
q what does the screen show for the {what}
q which gate is on the boarding pass for the {what}
q where was the {what} moved
q at which gate should I be for the {what}
q where should passengers of the {what} come
n the gate of the {what}
n the gate for the {what}
n the place to be for the {what}
n the gate on the boarding pass for the {what}
e which gate the {what} is at
e where to go for the {what}
e where the {what} goes from

# flight_code flight_no none
what = flight to Reykjavik | outbound flight | evening flight | flight my parents are on | first
  leg | second leg | flight via Madrid
s the {what} has the number {v}
s the number of the {what} is {v}
s the {what} is {v}
s we are booked on the {what}, which is {v}
s look for {v} on the board, that is the {what}
s the code of the {what} is {v}
s the ticket for the {what} says {v}
s the {what} is operated as {v}
q what is the number of the {what}
q which number does the {what} have
q what do I look for on the board for the {what}
q which code does the {what} have
q what does the ticket for the {what} say
q what is the code of the {what}
q under which number is the {what} operated
q what number are we on for the {what}
n the number of the {what}
n the code of the {what}
n the code on the ticket for the {what}
n the {what}'s number
e what number the {what} has
e which code the {what} has
e what the ticket for the {what} says

# seat_at seat none
what = opera | night bus to Porto | cinema | cup final | stadium | concert hall | ballet | puppet
  show
s my seat at the {what} is {v}
s for the {what} I have the seat {v}
s I will be sitting in {v} at the {what}
s they put me in {v} at the {what}
s my ticket for the {what} says {v}
s at the {what} my place is {v}
s I booked {v} for the {what}
s I reserved {v} at the {what}
q what is my seat at the {what}
q where do I sit at the {what}
q which seat do I have for the {what}
q which seat did I book for the {what}
q where did they put me at the {what}
q what place does my ticket for the {what} say
q where is my place at the {what}
q what did I reserve at the {what}
n my seat at the {what}
n my place at the {what}
n the seat I booked for the {what}
n the seat on my ticket for the {what}
e where I sit at the {what}
e which seat I have for the {what}
e where my place at the {what} is

# way_to route none
to = to the clinic | to Ana's cottage | to the campsite | to the office party | to the new gym |
  to the farm shop | to the boathouse | to the wedding chapel
s the way {to} is {v}
s to get {to}, go {v}
s the directions {to} are {v}
s you find the way {to} like this: {v}
s on foot, the way {to} goes {v}
s I was told to go {v} on my way {to}
s the best route {to} is {v}
s if you drive {to}, turn {v}
q what is the way {to}
q how do I get {to}
q what are the directions {to}
q how do I find the way {to}
q which route should I take {to}
q where do I have to turn on my way {to}
q how does one go {to}
q what is the best route {to}
n the way {to}
n the directions {to}
n the route {to}
n the description of the way {to}
e how to get {to}
e what the way {to} is
e which route to take {to}

# big_date full_date none
what = product launch | move to the new office | adoption day | citizenship ceremony | book
  release | final inspection | opening of the gallery | next eclipse | treaty | silver wedding |
  retirement party | knee operation | visa expiry | championship
s the date of the {what} is {v}
s the {what} is planned for {v}
s the {what} will be on {v}
s the {what} takes place on {v}
s they set the {what} for {v}
s mark {v} in your calendar for the {what}
s the {what} was moved to {v}
s the day of the {what} is {v}
a The {what} is on {v}.
q when is the {what}
q what is the date of the {what}
q on which day is the {what}
q which date did they set for the {what}
q when does the {what} take place
q what day is planned for the {what}
q what did I mark in the calendar for the {what}
q when will the {what} happen
n the date of the {what}
n the day of the {what}
n the date set for the {what}
n the calendar entry for the {what}
e when the {what} is
e on which day the {what} takes place
e what date is planned for the {what}

# due_by full_date none
what = insurance claim | essay on Rome | expense report | patent filing | library fine |
  translation | tender | election forms | first draft | photo competition | apprenticeship
  application
s the {what} is due by {v}
s the {what} has to be in by {v}
s I must hand in the {what} no later than {v}
s the deadline for the {what} is {v}
s they want the {what} by {v}
s the last day for the {what} is {v}
s we have time for the {what} until {v}
s the cut-off for the {what} is {v}
q when is the {what} due
q what is the deadline for the {what}
q by when do I have to hand in the {what}
q until when do we have time for the {what}
q what is the last day for the {what}
q by what date do they want the {what}
q how long do I have for the {what}
q when must the {what} be finished
n the deadline for the {what}
n the due date of the {what}
n the last day for the {what}
n the cut-off date for the {what}
e when the {what} is due
e by when I must hand in the {what}
e what the deadline for the {what} is

# takes_time span none
what = drive to the coast | recovery | boat trip | baking of the bread | download | visa procedure
  | night watch | guided tour | apprenticeship | charging of the car | paint drying
s the {what} takes {v}
s the {what} lasts {v}
s it takes {v} for the {what}
s we need {v} for the {what}
s they told me the {what} takes {v}
s you have to allow {v} for the {what}
s the time needed for the {what} is {v}
s the {what} will go on for {v}
a The {what} takes {v}.
q how long does the {what} take
q how long is the {what}
q how much time do we need for the {what}
q how much time should I allow for the {what}
q how long does the {what} last
q what time is needed for the {what}
q how long will the {what} go on
q for how long does one have to wait for the {what}
n the duration of the {what}
n the length of the {what}
n the time needed for the {what}
n the time to allow for the {what}
e how long the {what} takes
e how long the {what} lasts
e how much time the {what} needs

# bookmark page me person
what = crime novel | biology textbook | diary of the explorer | Spanish grammar | biography |
  cookbook | poetry volume | user manual
s {S} stopped reading the {what} at {v}
s in the {what} {S} got to {v}
s {S} [have|has] a bookmark in the {what} at {v}
s {S} [am|is] at {v} of the {what}
s {P} place in the {what} is {v}
s {S} put the {what} down at {v}
s with the {what}, {S} [have|has] reached {v}
s {S} fell asleep over the {what} at {v}
q where did {S} stop reading the {what}
q how far did {S} get in the {what}
q where is {P} bookmark in the {what}
q what page of the {what} {be} {S} on
q where in the {what} {be} {S}
q where did {S} put down the {what}
q where do I continue the {what} for {O}
q what have we got as {P} place in the {what}
n {P} place in the {what}
n the place of {P} bookmark in the {what}
n the point {S} reached in the {what}
n the page of the {what} where {S} stopped
e how far {S} got in the {what}
e where {S} stopped reading the {what}
e where {P} bookmark in the {what} is

# watching episode me person
what = hospital drama | cooking contest | space series | detective show | period drama | anime |
  nature documentary | sitcom
s {S} [am|is] at {v} of the {what}
s {S} stopped watching the {what} after {v}
s in the {what} {S} got as far as {v}
s the last one {S} saw of the {what} was {v}
s {S} fell asleep during {v} of the {what}
s {P} place in the {what} is {v}
s with the {what}, {S} [have|has] reached {v}
s {S} [want|wants] to go on with {v} of the {what}
q where did {S} stop watching the {what}
q which episode of the {what} {be} {S} at
q how far did {S} get with the {what}
q what did {S} see last of the {what}
q which part of the {what} did {S} fall asleep over
q where {do} {S} go on with the {what}
q where in the {what} {be} {S}
q at which point of the {what} did {S} stop
n the episode of the {what} {S} got to
n {P} place in the {what}
n the last part of the {what} {S} saw
n the point {S} reached in the {what}
e how far {S} got with the {what}
e which episode of the {what} {S} [am|is] at
e where {S} stopped watching the {what}

# match_result result none
what = handball derby | friendly against Porto | cup semi-final | table tennis match | ice hockey
  game | school football match | chess match | water polo game | rematch
s the {what} ended {v}
s the score of the {what} was {v}
s the {what} finished {v}
s we won the {what} by {v}
s the final score in the {what} was {v}
s they lost the {what} with a score of {v}
s the {what} was decided at {v}
s the paper gives the result of the {what} as {v}
q how did the {what} end
q what was the score of the {what}
q what was the result of the {what}
q how did the {what} turn out
q what was the final score in the {what}
q with which score did the {what} finish
q what did the paper say about the {what}
q at what score was the {what} decided
n the score of the {what}
n the result of the {what}
n the final score of the {what}
n the outcome of the {what}
e how the {what} ended
e what the score of the {what} was
e how the {what} turned out

# title_of work_title none
what = play we are staging | song for the wedding | documentary about bees | book club pick |
  first album | children's book | school musical | poem for the contest | film at the festival |
  lecture | exhibition in May
s the {what} is called {v}
s the title of the {what} is {v}
s the {what} has the title {v}
s they named the {what} {v}
s we chose {v} as the {what}
s the {what} will be {v}
s on the poster of the {what} it says {v}
s the {what} goes by the title {v}
a The {what} is called {v}.
q what is the {what} called
q what is the title of the {what}
q which title does the {what} have
q how did they name the {what}
q what did we choose as the {what}
q what will the {what} be
q what does it say on the poster of the {what}
q what is the name of the {what}
n the title of the {what}
n the name of the {what}
n the {what}
n the words on the poster of the {what}
e what the {what} is called
e what the title of the {what} is
e which title the {what} has

# lessons schedule me person
what = pottery class | physio sessions | violin lessons | Polish course | night shifts | choir
  practice | aqua aerobics | tutoring
s the plan for {P} {what} is {v}
s {S} [have|has] {what} {v}
s {S} [go|goes] to {P} {what} {v}
s the times of {P} {what} are {v}
s {P} calendar shows the {what} {v}
s {P} {what} will be {v} from now on
s {S} signed up for {what} {v}
s {S} [am|is] busy with {what} {v}
q when {do} {S} have {what}
q on which days {do} {S} have {what}
q what are the times of {P} {what}
q what is the schedule of {P} {what}
q when {do} {S} go to {P} {what}
q which days {be} {S} busy with {what}
q what does {P} calendar show for the {what}
q for which times did {S} sign up for {what}
n the times of {P} {what}
n the schedule of {P} {what}
n the days of {P} {what}
n the hours of {P} {what}
e when {S} [have|has] {what}
e what the schedule of {P} {what} is
e on which days {S} [have|has] {what}
"""
