"""Schemas with several values at once: each statement adds one, a question asks for all of them."""

SCHEMAS = """
# list_cities city me person
s {S} {have} been to {v}
s I think {v} is a city {S} {have} visited
s {S} {have} seen {v}
s {S} once spent a few days in {v}
q which cities {have} {S} been to
q what cities {have} {S} visited
q which cities {have} {S} seen
q where {have} {S} spent a few days
n the cities {S} {have} been to
n the cities {S} {have} visited
e which cities {S} {have} been to
e what cities {S} {have} visited

# list_restaurants venue none
what = lunch with clients | a birthday meal | a Sunday brunch | a quick dinner | a date |
  a farewell meal
s it seems that {v} would be good for {what}
s for {what} I like {v}
s somebody recommended {v} for {what}
s I hear that {v} was praised as a place for {what}
q which places are good for {what}
q which restaurants were recommended for {what}
q where could we go for {what}
q which places do I like for {what}
n the places for {what}
n the restaurants I mentioned for {what}
e which places are good for {what}
e where we could go for {what}

# list_books title me person
s {S} [want|wants] to read {v} some day
s the book {v} is on {P} reading list
s I know that {v} is a book {S} still [have|has] to read
s {S} put {v} on the pile of books to read
q which books are on {P} reading list
q what books {do} {S} want to read
q which books {do} {S} still have to read
q what is on the pile of books {S} [want|wants] to read
n the books on {P} reading list
n the books {S} still [have|has] to read
e which books {S} [want|wants] to read
e what is on {P} reading list

# list_guests fullname none
what = barbecue | picnic | farewell party | games night | brunch | pancake breakfast |
  carnival party |
  summer party
s they say that {v} is coming to the {what}
s apparently {v} said yes to the {what}
s we can expect {v} at the {what}
s the {what} has {v} among its guests
q who is coming to the {what}
q who said yes to the {what}
q whom can we expect at the {what}
q which guests will be at the {what}
n the guests of the {what}
n the people who are coming to the {what}
e who is coming to the {what}
e who said yes to the {what}

# list_applied company me person
what = a job | an internship | a summer job | a training place | a traineeship
s {S} applied to {v} for {what}
s {S} sent {v} an application for {what}
s as far as I know, {v} has {P} application for {what}
s one company {S} asked for {what} is {v}
q which companies did {S} apply to for {what}
q where did {S} apply for {what}
q which firms have {P} application for {what}
q whom did {S} ask for {what}
n the companies {S} applied to for {what}
n the firms that have {P} application for {what}
e which companies {S} applied to for {what}
e where {S} applied for {what}

# list_market thing me person
where = flea market | charity shop | auction | garage sale | antique fair | village bazaar |
  pawn shop
s {S} bought {v} at the {where}
s {S} found {v} at the {where}
s {S} came home from the {where} with {v}
s at the {where} {S} got {v}
q what did {S} buy at the {where}
q what things did {S} get at the {where}
q what did {S} come home with from the {where}
q what did {S} find at the {where}
n the things {S} bought at the {where}
n the things {S} got at the {where}
e what {S} bought at the {where}
e what {S} came home with from the {where}

# list_animals petname none
what = goats | ponies | hens | alpacas | donkeys | sheepdogs | rabbits | geese | lambs
s one of the {what} is called {v}
s one of the {what} goes by {v}
s I believe that {v} is the name of one of the {what}
s they named one of the {what} {v}
q what are the {what} called
q which names do the {what} have
q what are the names of the {what}
q how did they name the {what}
n the names of the {what}
n the names that were given to the {what}
e what the {what} are called
e which names the {what} have

# list_tickets ticket none
what = beta | launch | demo | audit | code freeze | next sprint
s actually {v} has to be fixed before the {what}
s the {what} is blocked by {v}
s we must close {v} before the {what}
s it is true that {v} is a ticket for before the {what}
q which tickets have to be fixed before the {what}
q what blocks the {what}
q which tickets must we close before the {what}
q what has to be fixed before the {what}
n the tickets that block the {what}
n the tickets to close before the {what}
e which tickets block the {what}
e what has to be fixed before the {what}

# list_files filename none
who = accountant | lawyer | printer | landlord | editor | auditor | publisher | architect
s I have to send {v} to the {who}
s the {who} still needs {v}
s the {who} asked for the file {v}
s I can tell you that {v} must go to the {who}
q which files do I have to send to the {who}
q what does the {who} still need
q which files did the {who} ask for
q what must go to the {who}
n the files for the {who}
n the files that the {who} still needs
e which files the {who} needs
e what I have to send to the {who}

# list_films title none
what = open-air cinema | film club | school cinema | horror night | silent film week | drive-in
s the {what} is going to show {v}
s it seems that {v} is on the programme of the {what}
s they picked {v} for the {what}
s we can see {v} at the {what}
q which films is the {what} going to show
q what is on the programme of the {what}
q which films did they pick for the {what}
q what can we see at the {what}
n the films of the {what}
n the films on the programme of the {what}
e which films the {what} is going to show
e what is on the programme of the {what}

# list_known first none
what = choir | gym | sailing camp | language class | dog park | allotment | yoga studio |
  night school
s I know {v} from the {what}
s one person I met at the {what} is {v}
s I hear that {v} is someone I know from the {what}
s at the {what} I got to know {v}
q whom do I know from the {what}
q which people did I meet at the {what}
q whom did I get to know at the {what}
q who are the people I know from the {what}
n the people I know from the {what}
n the people I met at the {what}
e whom I know from the {what}
e which people I met at the {what}

# list_helpers fullname none
what = move | harvest | roof repair | clean-up day | bake sale | stage building | tree planting
s I know that {v} is going to help with the {what}
s they say that {v} offered a hand with the {what}
s for the {what} I can count on {v}
s apparently {v} signed up to help with the {what}
q who is going to help with the {what}
q who offered a hand with the {what}
q on whom can I count for the {what}
q who signed up to help with the {what}
n the helpers for the {what}
n the people who help with the {what}
e who is going to help with the {what}
e who offered a hand with the {what}

# list_boats made_up none
where = old harbour | marina | boatyard | upper lock | east pier | canal basin
s the boat {v} lies in the {where}
s a boat called {v} came to the {where}
s in the {where} I saw the boat {v}
s you can find the boat {v} in the {where}
q which boats lie in the {where}
q which boats did I see in the {where}
q what are the boats in the {where} called
q which boats can you find in the {where}
n the boats in the {where}
n the names of the boats in the {where}
e which boats lie in the {where}
e what the boats in the {where} are called

# list_finds thing none
where = attic | cellar | old trunk | barn | wardrobe | shed behind the house | bottom drawer
s we found {v} in the {where}
s as far as I know, {v} turned up in the {where}
s there was {v} in the {where}
s in the {where} I came across {v}
q what did we find in the {where}
q what turned up in the {where}
q what did I come across in the {where}
q which things were in the {where}
n the things we found in the {where}
n the things that turned up in the {where}
e what we found in the {where}
e what turned up in the {where}

# list_pictures costume none
what = quilt | banner | carpet | playing card | stage set | coat of arms | tapestry
s the {what} shows {v}
s there is {v} on the {what}
s I believe that {v} can be seen on the {what}
s someone put {v} on the {what}
q what does the {what} show
q what is there on the {what}
q what can be seen on the {what}
q which things did they put on the {what}
n the things on the {what}
n the pictures on the {what}
e what the {what} shows
e what can be seen on the {what}

# list_branches slug none
what = release line | main branch | staging line | mobile app | web shop
s actually {v} still has to be merged into the {what}
s the branch {v} is waiting for the {what}
s the {what} lacks the branch {v}
s we have to bring {v} into the {what}
q which branches still have to be merged into the {what}
q what is waiting for the {what}
q which branches does the {what} lack
q what do we have to bring into the {what}
n the branches that wait for the {what}
n the branches to merge into the {what}
e which branches have to be merged into the {what}
e what is waiting for the {what}

# list_sponsors company none
what = marathon team | opera house | sea rescue | school orchestra | music prize | robot contest
s it is true that {v} gives money to the {what}
s I can tell you that {v} sponsors the {what}
s the {what} is supported by {v}
s one sponsor of the {what} is {v}
q who gives money to the {what}
q which firms sponsor the {what}
q by whom is the {what} supported
q who are the sponsors of the {what}
n the sponsors of the {what}
n the firms that support the {what}
e who sponsors the {what}
e which firms support the {what}

# list_villages made_up none
what = river boat | mountain train | mobile library | milk lorry | bread van | hiking path
s the {what} stops in {v}
s the village {v} is a stop of the {what}
s you can get to {v} by the {what}
s the {what} passes through {v}
q where does the {what} stop
q in which villages does the {what} stop
q which villages does the {what} pass through
q what are the stops of the {what}
n the villages where the {what} stops
n the stops of the {what}
e where the {what} stops
e which villages the {what} passes through

# list_horses petname none
what = first race | second race | spring cup | derby | trotting race | final
s it so happens that {v} runs in the {what}
s the horse {v} is entered for the {what}
s the {what} has {v} at the start
s I bet on {v} in the {what}
q which horses run in the {what}
q which horses are entered for the {what}
q who is at the start of the {what}
q what are the horses in the {what} called
n the horses in the {what}
n the horses entered for the {what}
e which horses run in the {what}
e which horses are entered for the {what}

# list_rooms meeting_room none
what = workshop | board visit | exam week | book fair | job interviews | press day
s I think {v} is booked for the {what}
s we reserved {v} for the {what}
s the {what} takes place in {v}
s they gave us {v} for the {what}
q which rooms are booked for the {what}
q what rooms did we reserve for the {what}
q which rooms did they give us for the {what}
q where does the {what} take place
n the rooms for the {what}
n the rooms that are booked for the {what}
e which rooms are booked for the {what}
e what rooms we reserved for the {what}

# list_menu food none
what = canteen | beach bar | village inn | market stall | train buffet | food stand
s it seems that {v} is on the menu of the {what}
s the {what} serves {v}
s you can get {v} at the {what}
s today the {what} has {v}
q what is on the menu of the {what}
q what does the {what} serve
q what can you get at the {what}
q which dishes does the {what} have
n the dishes of the {what}
n the dishes on the menu of the {what}
e what the {what} serves
e what is on the menu of the {what}

# list_flats address me person
s {S} {be} going to see a flat at {v}
s there is a flat for {O} at {v}
s {S} asked about the flat at {v}
s one flat {S} might take is at {v}
q at which addresses {be} {S} going to see a flat
q where are the flats {S} asked about
q which flats {be} {S} going to see
q where might {S} take a flat
n the addresses of the flats {S} asked about
n the addresses of the flats for {O}
e where {S} {be} going to see a flat
e at which addresses {S} asked about a flat

# list_mails email none
what = newsletter | meeting summary | invoice | press release | weekly report | photo album
s I hear that {v} gets a copy of the {what}
s the {what} also goes to {v}
s please send the {what} to {v}
s we have to send {v} the {what}
q who gets a copy of the {what}
q to which addresses does the {what} go
q where do we have to send the {what}
q which addresses get the {what}
n the addresses for the {what}
n the addresses that get the {what}
e who gets a copy of the {what}
e to which addresses the {what} goes

# list_flights flight_no none
what = storm | strike | fog | snow | power failure | radar failure
s I know that {v} was cancelled because of the {what}
s because of the {what} they cancelled {v}
s the {what} grounded {v}
s flight {v} was called off after the {what}
q which flights were cancelled because of the {what}
q which flights did the {what} ground
q what was called off after the {what}
q which flights did they cancel because of the {what}
n the flights that were cancelled because of the {what}
n the flights that the {what} grounded
e which flights were cancelled because of the {what}
e which flights the {what} grounded

# list_songs title none
what = wedding dance | encore | school concert | radio show | candlelight evening | campfire
s the band plays {v} at the {what}
s they say that {v} is a song for the {what}
s they are going to sing {v} at the {what}
s we rehearse {v} for the {what}
q which songs does the band play at the {what}
q what songs are for the {what}
q which songs do we rehearse for the {what}
q what are they going to sing at the {what}
n the songs for the {what}
n the songs that we rehearse for the {what}
e which songs are for the {what}
e what the band plays at the {what}

# list_chores task me person
where = summer house | shop | parish hall | office kitchen | allotment hut | camper van
s {S} {have} to {v} in the {where}
s one job in the {where} is to {v}, and it is for {O}
s {S} promised to {v} in the {where}
s it is up to {O} to {v} in the {where}
q which jobs {do} {S} have to do in the {where}
q what did {S} promise to do in the {where}
q what is there to do for {O} in the {where}
q what is up to {O} in the {where}
n the jobs {S} promised to do in the {where}
n the jobs for {O} in the {where}
e what {S} {have} to do in the {where}
e which jobs there are for {O} in the {where}
"""
