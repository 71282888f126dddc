"""More wordings for the schemas about work, projects, machines and small events."""

SCHEMAS = """
+ colleague
what = office manager | product owner | security guard | copy editor | team assistant | scrum master
  | lab technician | shift leader | HR manager | legal adviser | art director
s in fact {v} is our {what}
s we have a {what} called {v}
s actually {v} works with us as the {what}
s they hired {v} as our {what}
s our {what}, {v}, is on holiday
s you can ask {v}, the {what} at work
s the {what} in our office goes by {v}
s my colleague {v} is the {what}
q what is our {what}'s name
q who is our {what}
q which colleague is the {what}
q who works as the {what} at our office
q what do we call our {what}
q who did they hire as our {what}
q who is the {what} in our office
q what name does our {what} have
n our {what}'s name
n our {what}
e what our {what} is called
e who the {what} at work is

+ server
what = web server | file server | office printer | label printer | mail server | firewall |
  monitoring host
s we call the {what} {v}
s yes, {v} is the name of the {what}
s on the network the {what} shows up as {v}
s connect to {v}, that is the {what}
s the hostname of the {what} is {v}
s they renamed the {what} to {v}
s the label on the {what} says {v}
q what do we call the {what}
q what is the hostname of the {what}
q which name does the {what} have
q how does the {what} show up on the network
q what name does the {what} go by
q what does the label on the {what} say
q under which name do I find the {what}
n the hostname of the {what}
n the {what}'s name
e what the name of the {what} is
e what we call the {what}

+ port
what = proxy | message broker | admin panel | login service | search service | game server
s port {v} belongs to the {what}
s you reach the {what} on port {v}
s the {what} runs on port {v}
s we moved the {what} to port {v}
s connect to the {what} through port {v}
s the {what} is open on port {v}
s it so happens that {v} is the port of the {what}
s in the config the port for the {what} is {v}
q which port is the {what} on
q what port does the {what} use
q what port does the {what} run on
q on which port do I reach the {what}
q which port number does the {what} have
q what port do I connect to for the {what}
q where does the {what} listen
n the port number of the {what}
n the port for the {what}
e what port the {what} uses
e which port the {what} is on

+ codeword
what = neighbourhood watch | family chat | scout camp | secret club | escape room team | fire drill
s if you hear {v}, it is the code word for the {what}
s the secret word for the {what} is {v}
s say {v} for the {what}, it is the code word
s as a code word for the {what} we agreed on {v}
s in fact {v} is our code word for the {what}
s the {what} has the code word {v}
s whoever says {v} belongs to the {what}
s we changed the code word for the {what} to {v}
q what is our secret word for the {what}
q what do I have to say as the code word for the {what}
q what code word does the {what} have
q which word did we agree on for the {what}
q what is the secret phrase for the {what}
q what code word belongs to the {what}
q what was our code word for the {what}
n the secret word for the {what}
n our code word for the {what}
e which code word the {what} has
e what our secret word for the {what} is

+ owner
what = bookstore | lake house | stable | brewery | black dog | guest house | sailing boat |
  shop on the square | food truck | land behind the house
s actually {v} owns the {what}
s yes, {v} is the owner of the {what}
s the {what} is owned by {v}
s the {what} was bought by {v}
s the {what} is in the hands of {v}
s the person who has the {what} is {v}
s it so happens that {v} bought the {what} and runs it now
s the deed of the {what} names {v}
q whose is the {what}
q who is the {what} owned by
q who has the {what}
q to whom does the {what} belong
q who bought the {what}
q what is the name of the owner of the {what}
q in whose hands is the {what}
n the person who owns the {what}
n the name of the owner of the {what}
e who the {what} belongs to
e who the owner of the {what} is
e whose the {what} is

+ lost_thing
where = on the bus | at the gym | at the stadium | in the forest | at the hotel | at the swimming
  pool | at the party | in the museum
s {where} {S} lost {v}
s in fact {v} got lost {where} because {S} did not pay attention
s {S} dropped {v} {where}
s {S} accidentally left behind {v} {where}
s {S} can't find {v}, it was lost {where}
s {S} went home without {v}, which was left {where}
s {S} misplaced {v} {where}
s it was {v} that {S} lost {where}
q what did {S} forget {where}
q what did {S} leave behind {where}
q what did {S} drop {where}
q which thing did {S} lose {where}
q what did {S} misplace {where}
q what got lost {where} when {S} [was|was] there
q what thing of [mine|{S}'s] was left {where}
n the thing {S} left {where}
n the thing {S} forgot {where}
e what {S} left {where}
e what {S} forgot {where}

+ reading
s {S} {be} in the middle of {v}
s the book on {P} bedside table is {v}
s {S} just started the book {v}
s {S} can't put down {v}, such a good book
s right now {P} book is {v}
s {S} [read|reads] a chapter of {v} every night
s {S} {be} halfway through {v}
s {S} picked up {v} to read at the library
q what book {be} {S} reading
q which book is on {P} bedside table
q what {be} {S} reading these days
q which book did {S} start
q what {do} {S} read at night
q what book {be} {S} in the middle of
q which book can't {S} put down
q what is the title of the book {S} {be} reading
n {P} current book
n the title of the book {S} {be} reading
e what {S} {be} reading
e what book {S} {be} in the middle of

+ model
what = microwave | oven | fridge | washing machine | lens | chainsaw | projector | router |
  electric piano
s my {what} is a {v}
s we have the {what} in the model {v}
s on the back of the {what} it says {v}
s actually {v} is the model number of the {what}
s I bought the {what} {v}
s the type plate of the {what} says {v}
s the {what} we own is the {v}
s when you order parts for the {what}, the model is {v}
q what model is the {what}
q what is the model number of the {what}
q which {what} do we have
q what does it say on the back of the {what}
q which type of {what} did I buy
q what does the type plate of the {what} say
q which model of {what} do I own
n the model number of the {what}
n the type of the {what}
e what model the {what} is
e what the model number of the {what} is

+ ingredient
what = chocolate cake | dressing | dumplings | stew | pancakes | pasta dish
s what makes the {what} special is {v}
s the trick with the {what} is to add {v}
s nobody knows that there is {v} in the {what}
s I secretly put {v} in the {what}
s the secret of the {what} is {v}
s the hidden ingredient of the {what} is {v}
q what makes the {what} special
q what is the secret of the {what}
q what secret thing is in the {what}
q what did I secretly put in the {what}
q which hidden ingredient does the {what} have
q what is the trick with the {what}
n the secret of the {what}
n the hidden ingredient of the {what}
e which secret ingredient is in the {what}
e what makes the {what} special

+ planted
where = in front of the house | around the old tree | in the big pot | next to the bench | along the
  fence | beside the garage
s {where} you can see {v}
s {where} there are {v} now
s I put in some {v} {where}
s {where} I have {v} growing
s yes, {v} are growing {where}
s I sowed {v} {where}
s the bed {where} is full of {v}
q what is growing {where}
q what flowers did I plant {where}
q what did I sow {where}
q which plants are {where}
q what kind of flowers are {where}
q what is the bed {where} full of
q which flowers did I put {where}
n the plants {where}
n the flowers I planted {where}
e which flowers are {where}
e what is growing {where}

+ winner
what = marathon | talent show | science fair | dance contest | sailing regatta | photo competition |
  bowling league
s it so happens that {v} won the {what}
s in fact {v} came first in the {what}
s first place in the {what} went to {v}
s the {what} ended with a victory for {v}
s nobody could beat {v} in the {what}
s the trophy of the {what} went to {v}
s the champion of the {what} is {v}
q who came first in the {what}
q who took first place in the {what}
q who got the trophy of the {what}
q who is the champion of the {what}
q who was the {what} won by
q what is the name of the winner of the {what}
q which person won the {what}
n the champion of the {what}
n the name of the winner of the {what}
e who came first in the {what}
e who the winner of the {what} was

+ score
what = typing test | video game | driving theory test | golf round | entrance exam | archery
  contest
s I scored {v} in the {what}
s I ended up with {v} in the {what}
s my score in the {what} is {v}
s in the {what} I reached {v}
s actually {v} is my score in the {what}
s I made it to {v} in the {what}
q what is my score in the {what}
q how many points did I get in the {what}
q what did I score in the {what}
q how did I do in the {what}
q what score did I reach in the {what}
q how high was my score in the {what}
n my score in the {what}
n the points I got in the {what}
e what I scored in the {what}
e how many points I got in the {what}

+ version
what = kernel | driver | plugin | browser | mobile app | payment library
s the {what} is on {v}
s we upgraded the {what} to {v}
s the {what} we use is version {v}
s version {v} of the {what} is installed
s the {what} just moved to version {v}
s the latest {what} we have is {v}
s our {what} runs in version {v}
a You are on version {v} of the {what}.
q what version of the {what} do we have
q which version of the {what} is installed
q which version is the {what} on
q what version is the {what}
q to which version did we upgrade the {what}
q what version of the {what} are we on
q what release of the {what} do we use
n the version number of the {what}
n the installed version of the {what}
e what version the {what} is at
e which version of the {what} is installed

+ branch
what = bug fix | new design | refactoring | database migration | test suite | checkout page
s the work on the {what} is on {v}
s check out {v} for the {what}
s we keep the {what} on the branch {v}
s I created the branch {v} for the {what}
s the {what} sits on {v}
s all commits for the {what} go to {v}
s yes, {v} is the branch of the {what}
q which branch has the {what}
q what branch is the {what} on
q which branch do I check out for the {what}
q what is the name of the branch for the {what}
q where do the commits for the {what} go
q which branch did I create for the {what}
q on which branch is the {what}
n the branch name for the {what}
n the name of the branch with the {what}
e what branch the {what} is on
e what the branch for the {what} is

+ file_name
what = lease | recipe collection | holiday plan | guest list | CV | floor plan | tax form
s the {what} is stored as {v}
s look in {v} for the {what}
s I wrote the {what} down in {v}
s I put the {what} into {v}
s the {what} is named {v}
s open {v} if you want to see the {what}
s it so happens that {v} holds the {what}
a You will find the {what} in {v}.
q what is the file name of the {what}
q in which file is the {what}
q what file holds the {what}
q under what name did I save the {what}
q what did I name the file with the {what}
q which file should I open for the {what}
q where is the {what} stored
n the file name of the {what}
n the name of the file with the {what}
e what the file with the {what} is called
e in which file the {what} is

+ channel
what = marketing team | ops team | book lovers | new hires | security team | board games crowd
s the channel for the {what} is {v}
s write to {v} if you need the {what}
s we made the channel {v} for the {what}
s in fact {v} is the channel of the {what}
s the {what} hangs out in {v}
s messages for the {what} go to {v}
s join {v} to chat with the {what}
q what channel is for the {what}
q in which channel do I find the {what}
q where does the {what} chat
q what channel does the {what} use
q which channel should I join for the {what}
q where do I write to the {what}
q what is the name of the channel for the {what}
n the channel for the {what}
n the name of the {what} channel
e what channel the {what} uses
e in which channel the {what} talks

+ client
what = main supplier | energy provider | web host | biggest sponsor | cleaning company | printing
  firm | accounting firm
s we work with {v} as our {what}
s actually {v} is our {what}
s we signed a contract with {v}, which is our {what}
s we chose {v} as our {what}
s our {what} goes by the name {v}
s for years {v} has been our {what}
s we switched to {v} as our {what}
q which company is our {what}
q which firm did we choose as our {what}
q what company do we have as our {what}
q what is our {what}'s name
q who do we have as our {what}
q what name does our {what} have
q which firm is our {what}
n our {what}
n our {what}'s name
e what our {what} is called
e which company is our {what}
"""
