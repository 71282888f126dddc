"""More wordings for the schemas about appointments, travel, events and plans."""

SCHEMAS = """
+ appointment
what = blood test | passport appointment | tyre change | fitting for the suit | check-up~medical
  check-up | physio session | mortgage meeting | hearing test | tattoo session | vaccination |
  photo shoot | visa interview
s {S} {be} booked in for the {what} on {v}
s the {what} {S} booked is on {v}
s they gave {O} {v} for the {what}
s {S} [have|has] to go to the {what} on {v}
s {P} {what} was moved to {v}
s {S} made an appointment for the {what}, it is on {v}
s in fact {v} is when {S} {have} the {what}
s {P} {what} takes place on {v}
s on {v} {S} {have} a {what}
s please block {v} for {P} {what}
q what day is {P} {what}
q what time is {P} {what}
q when did they schedule {P} {what}
q when {do} {S} have to go to the {what}
q when {be} {S} booked in for the {what}
q for when is {P} {what} scheduled
q what date and time is {P} {what}
q when does {P} {what} take place
q when should {S} show up for the {what}
n the day and time of {P} {what}
n the slot for {P} {what}
e when {S} [have|has] the {what}
e on what day {P} {what} is
e what time {P} {what} is

+ meeting
what = phone call with the lawyer | staff meeting | parents' meeting | town hall meeting |
  dance class | poker night | product demo | chess lesson | video call with my sister |
  history lecture | church service | pub quiz | band practice | webinar
s the {what} kicks off at {v}
s the {what} begins at {v}
s be ready for the {what} at {v}
s actually {v} is when the {what} starts
s we are having the {what} at {v}
s the {what} was pushed back to {v}
s I have to be at the {what} by {v}
s the invitation for the {what} says {v}
s at {v} there is the {what}
s the {what} has been set for {v}
a The {what} is at {v}.
q when does the {what} begin
q what time does the {what} start
q what time does the {what} begin
q when is the {what}
q when should I be at the {what}
q at what hour is the {what}
q when does the {what} kick off
q what time did we agree on for the {what}
q at what time do I have to be at the {what}
n the start of the {what}
n the hour of the {what}
n the time the {what} starts
e when the {what} begins
e at what time the {what} is
e when I have to be at the {what}

+ deadline
what = essay | application for the job | court form | annual report | book chapter | passport
  renewal | payment of the fine | code review | registration for the race
s I have until {v} for the {what}
s the {what} must be in by {v}
s the last day for the {what} is {v}
s I need to finish the {what} before {v}
s yes, {v} is the deadline for the {what}
s they want the {what} by {v}
s the {what} has to be ready by {v}
s the cut-off for the {what} is {v}
s I promised to deliver the {what} by {v}
a You have until {v} for the {what}.
a The {what} is due on {v}.
q until when do I have time for the {what}
q what is the last day for the {what}
q what is the due date of the {what}
q by what date must the {what} be done
q when do I have to hand in the {what}
q when does the {what} have to be ready
q how long do I have for the {what}
q what date is the {what} due
q when do they want the {what}
n the last day for the {what}
n the cut-off date for the {what}
n the day the {what} is due
e by when I have to finish the {what}
e when the deadline for the {what} is
e until when I have time for the {what}

+ event_date
what = christening | office party | flea market | premiere | street festival | regatta | opening
  of the shop | chess tournament in town | book launch | open day | blood drive
s the {what} will be on {v}
s we are holding the {what} on {v}
s the date of the {what} is {v}
s the {what} was moved to {v}
s save the date, the {what} is on {v}
s it so happens that {v} is the day of the {what}
s the {what} has been set for {v}
s the invitation to the {what} says {v}
s on {v} there is the {what}
s everyone agreed on {v} for the {what}
a The {what} is on {v}.
q what day is the {what}
q what date did we pick for the {what}
q when does the {what} take place
q when will the {what} be
q which day is the {what} on
q when are we holding the {what}
q what date is the {what}
q on what day does the {what} happen
q for which date is the {what} planned
n the day of the {what}
n the date we picked for the {what}
n the date set for the {what}
e on which day the {what} is
e when the {what} takes place
e what the date of the {what} is

+ flight
what = outbound flight | bus to the capital | train to the airport | flight to the islands | flight
  back | overnight ferry
s the {what} is number {v}
s I am booked on the {what}, number {v}
s in fact {v} is the number of my {what}
s my {what} is listed as {v} on the board
s my {what} runs under {v}
s on the ticket for the {what} it says {v}
s look for {v} on the board, that is my {what}
a Your {what} is number {v}.
q what number is my {what}
q what is my {what} listed as on the board
q which number should I look for on the board for my {what}
q under what number does my {what} run
q what does the ticket for my {what} say
q which {what} am I booked on
q what is the code of my {what}
n the number for the {what}
n my {what} number
n the code of my {what}
e which number my {what} has
e what number my {what} is

+ gate
what = seat in the cinema | berth on the ship | locker at the pool | bed in the hostel | pitch at
  the campsite | desk at the office
s the {what} I got is {v}
s I have been given {v} as my {what}
s actually {v} is my {what}
s the ticket says that my {what} is {v}
s they put me down for {v} as the {what}
s for the {what} I got {v}
a They gave you {v} as your {what}.
q what {what} did I get
q what {what} was I given
q which {what} is mine
q what does the ticket say about my {what}
q what number is my {what}
q which {what} did they assign me
n the {what} I was given
n the number of my {what}
e which {what} I have
e which {what} I got

+ trip
when = in July | during the summer holidays | for New Year | for the conference | after graduation |
  in the autumn break | for the long weekend
s {S} will fly to {v} {when}
s {S} [have|has] booked a trip to {v} {when}
s {S} will be in {v} {when}
s {when} it is off to {v} for {O}
s {P} destination {when} is {v}
s {S} [plan|plans] to spend some time in {v} {when}
s {S} [have|has] tickets to {v} {when}
s {when} {S} will be away in {v}
s yes, {v} is where {S} {be} headed {when}
s {P} travel plans {when} are all about {v}
q what is {P} destination {when}
q where will {S} be {when}
q what city {be} {S} visiting {when}
q where {do} {S} want to go {when}
q where {be} {S} headed {when}
q where {be} {S} flying {when}
q which city {be} {S} travelling to {when}
q to which place did {S} book a trip {when}
q where will {S} travel {when}
n {P} destination {when}
n the place {S} will visit {when}
n the city {S} {be} travelling to {when}
e where {S} {be} travelling {when}
e what {P} destination {when} is
e which city {S} will visit {when}

+ hotel
what = marathon weekend | trade fair | hiking trip | anniversary trip | school reunion
s during the {what} I will sleep at {v}
s I made a hotel reservation at {v} for the {what}
s they put us up at {v} for the {what}
s our hotel during the {what} is called {v}
s for the {what} I will check in at {v}
s we found a nice hotel for the {what}, {v}
s it so happens that {v} is the hotel for the {what}
a Your hotel for the {what} is {v}.
q where will I sleep during the {what}
q which hotel are we staying at during the {what}
q where did I book a room for the {what}
q where do I check in for the {what}
q what is the name of the hotel for the {what}
q which hotel did I choose for the {what}
q what accommodation do we have for the {what}
n the name of the hotel for the {what}
n the place where we stay during the {what}
n our accommodation for the {what}
e where we are staying during the {what}
e what the hotel for the {what} is called

+ room
what = maths lecture | board meeting | training course | blood test | art class | press briefing |
  oral exam
s go to room {v} for the {what}
s room {v} is where the {what} takes place
s they moved the {what} to room {v}
s we meet in room {v} for the {what}
s the {what} will be held in room {v}
s the door for the {what} has the number {v}
s the room number for the {what} is {v}
a For the {what}, please go to room {v}.
q what room is the {what} in
q in which room is the {what}
q which room do I have to go to for the {what}
q in what room will they hold the {what}
q where in the building is the {what}
q what number is on the door for the {what}
q which room number does the {what} have
n the room for the {what}
n the number of the room for the {what}
e in which room the {what} is
e what room the {what} is in

+ restaurant
what = engagement dinner | graduation lunch | Mother's Day brunch | dinner with the clients |
  Christmas dinner | class dinner
s we have a reservation at {v} for the {what}
s our table for the {what} is at {v}
s in fact {v} is where we have the {what}
s everyone is coming to {v} for the {what}
s I made a reservation at {v} for the {what}
s the place for the {what} is {v}
s they moved the {what} to {v}
s we are eating at {v} for the {what}
a The {what} will be at {v}.
q where are we eating for the {what}
q which restaurant is the {what} at
q where do we have a reservation for the {what}
q what place did we pick for the {what}
q where did I make a reservation for the {what}
q where will the {what} be
q at which restaurant is the {what}
n the place for the {what}
n the place where we have the {what}
n the name of the restaurant for the {what}
e where we have a table for the {what}
e which restaurant we chose for the {what}

+ gift
who = my daughter | my son | my uncle | my grandmother~my grandma | my boyfriend | my girlfriend |
  the hosts | my secretary | my goddaughter | my cousin
s I got {v} for {who}
s I am giving {who} {v}
s {who} will get {v} from me
s actually {v} is my present for {who}
s I ordered {v} as a gift for {who}
s I wrapped up {v} for {who}
s I settled on {v} as a surprise for {who}
s my idea for a present for {who} is {v}
s for {who}, I picked out {v}
q what did I buy for {who}
q what did I get for {who}
q what present do I have for {who}
q what will {who} get from me
q what was my gift idea for {who}
q what did I pick out for {who}
q which present did I order for {who}
q what am I going to give to {who}
q what did I wrap up for {who}
n my present for {who}
n my gift idea for {who}
n the thing I bought for {who}
e what I bought for {who}
e what the present for {who} is
e what I got for {who}

+ guests
what = picnic | baptism | boat tour | Christmas dinner | office party | garden party | tasting
s yes, {v} people said yes to the {what}
s it so happens that {v} people signed up for the {what}
s we will be {v} at the {what}
s I invited {v} people to the {what}
s the {what} is going to have {v} guests
s I need to plan the {what} for {v} guests
s so far {v} guests are on the list for the {what}
q how many people signed up for the {what}
q how many guests are there at the {what}
q how many will we be at the {what}
q how many people did I invite to the {what}
q how big is the guest list for the {what}
q how many people do I plan for at the {what}
q for how many people is the {what}
q what is the number of guests at the {what}
n the guest count for the {what}
n the size of the guest list for the {what}
n the number of people coming to the {what}
e how many guests we expect at the {what}
e how many people I invited to the {what}

+ duration
what = treatment | training | bus ride | warranty repair | exhibition | internship | probation
  period | delivery
s the {what} goes on for {v}
s the {what} should be over in {v}
s I have to plan {v} for the {what}
s in fact {v} is how long the {what} takes
s the length of the {what} is {v}
s you need {v} for the {what}
s the {what} will be {v} long
s it will take {v} until the {what} is over
a The {what} takes {v}.
q how long will the {what} last
q how long does the {what} last
q how much time does the {what} take
q how much time do I have to plan for the {what}
q how long do I need for the {what}
q what is the duration of the {what}
q how long does the {what} go on
q how much time should I set aside for the {what}
n the duration of the {what}
n the time the {what} takes
n how long the {what} lasts
e how long the {what} lasts
e how much time the {what} takes
e what the duration of the {what} is

+ theme
what = company party | story contest | prom | summer camp | museum night | poetry evening
s the {what} is all about the {v}
s everything at the {what} revolves around the {v}
s this year the motto of the {what} is {v}
s the topic of the {what} is {v}
s the {what} has the theme {v}
s for the {what} we settled on the theme {v}
s actually {v} will be the theme of the {what}
q what is the motto of the {what}
q what is the {what} about
q what topic does the {what} have
q what motto did they choose for the {what}
q which theme does the {what} have
q what theme did we settle on for the {what}
q around what does the {what} revolve
n the motto of the {what}
n the topic of the {what}
e which theme they chose for the {what}
e what the {what} is about

+ contact
what = roofer | locksmith | removal man | painter | vet on call | chimney sweep | tile layer |
  interpreter | midwife on duty | translator
s we hired {v} as the {what}
s yes, {v} is the {what}
s the new {what} is somebody called {v}
s call {v}, the {what}, if something breaks
s ask for {v}, that is the {what}
s I found a good {what}, {v}
s the {what} goes by the name {v}
s we went with {v} as the {what}
s my contact, the {what}, is {v}
a You can call {v}, the {what}.
q what is the {what}'s name
q which {what} did we hire
q who did we hire as the {what}
q who should I call when I need the {what}
q who do we have as the {what}
q what name does the {what} have
q who works for us as the {what}
q which person is the {what}
n the {what}'s name
n the {what} we hired
n the contact for the {what}
e who the {what} is
e what the name of the {what} is
e who we hired as the {what}
"""
