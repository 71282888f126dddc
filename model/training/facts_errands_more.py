"""More wordings for the schemas about groups, goals, evenings, returns and stories."""

SCHEMAS = """
+ team_members
team = chess team | choir | study group | jury | rescue team | planning committee
s in fact {v} are in the {team}
s the {team} is made up of {v}
s actually {v} make up the {team}
s the people in the {team} are {v}
s with {v} the {team} is complete
s the {team} has these members, {v}
s I am in the {team} together with {v}
s they picked {v} for the {team}
q who is on the {team}
q which people are in the {team}
q who belongs to the {team}
q who makes up the {team}
q what are the names of the people in the {team}
q who did they pick for the {team}
q who are the people in the {team}
n the people in the {team}
n the names of the members of the {team}
e who belongs to the {team}
e who the members of the {team} are

+ goal
what = glasses of water a day | steps before lunch | new words a week | sit-ups a day |
  chapters this year | euros saved a week
s my target is {v} {what}
s I plan to reach {v} {what}
s I promised myself {v} {what}
s yes, {v} {what} is what I want to reach
s I am trying to get to {v} {what}
s I set myself the goal of {v} {what}
s with {v} {what} I would be happy
q how many {what} do I want to do
q how many {what} is my target
q how many {what} did I promise myself
q what is my goal in {what}
q how many {what} am I trying to get to
q what target did I set in {what}
q how many {what} would make me happy
n my target in {what}
n my target number of {what}
e how many {what} I want to reach
e what my goal in {what} is

+ seat_count
what = minibus | classroom | restaurant | sauna | cable car | big table
s the {what} seats {v} people
s it so happens that {v} people can sit in the {what}
s the {what} is full with {v} people
s the {what} was built for {v} people
s there are {v} seats in the {what}
s the {what} has {v} seats
s no more than {v} people can get into the {what}
q how many seats are in the {what}
q how many seats does the {what} have
q how many can sit in the {what}
q how many people is the {what} built for
q what is the capacity of the {what}
q how many people can the {what} take
q with how many people is the {what} full
n the capacity of the {what}
n the number of seats in the {what}
e how many people the {what} holds
e how many seats the {what} has

+ film_night
when = on Thursday evening | next Friday | on Saturday night | after dinner | on the plane
s we are going to see {v} {when}
s {when} it will be {v} on the screen
s we have tickets to see {v} {when}
s we agreed to watch {v} {when}
s the movie {when} will be {v}
s {when} everyone wants to see the film {v}
s I rented {v} for us to watch {when}
q what film are we going to see {when}
q which movie are we watching {when}
q what did we agree to watch {when}
q what is the movie {when}
q what will be on the screen {when}
q which film is on {when}
q what are we going to watch {when}
n the movie {when}
n the film we watch {when}
e which film we are watching {when}
e what the movie {when} is

+ cook
when = on Sunday evening | for my parents | for the picnic | on Christmas Eve | for the children |
  next Tuesday
s I will serve {v} {when}
s {when} I am making {v}
s I plan to prepare {v} {when}
s the menu {when} is {v}
s we are going to eat {v} {when}
s {when} we will have {v} on the table
s I promised to cook {v} {when}
q what am I making to eat {when}
q what will I serve {when}
q what is on the menu {when}
q what are we going to eat {when}
q which dish will I prepare {when}
q what did I promise to cook {when}
q what meal am I preparing {when}
n the menu {when}
n the meal I am cooking {when}
e what is on the menu {when}
e what I will serve {when}

+ costume
s {S} will be {v} at the carnival
s {S} sewed a costume to look like {v}
s for Halloween {S} will come as {v}
s {S} rented an outfit to be {v}
s nobody will recognise {O} dressed as {v}
s {P} outfit for the masked ball is {v}
s {S} will walk in the parade as {v}
q what will {S} be at the carnival
q what {do} {S} want to go to the party as
q what will {S} come as for Halloween
q which costume will {S} wear
q what {be} {S} dressing up as
q what outfit did {S} rent
q what will {S} walk in the parade as
n {P} outfit for the carnival
n the costume {S} will wear
e what {S} will dress up as
e which costume {S} will wear

+ warranty
what = fridge | watch | sofa | laptop | heating pump | vacuum cleaner | TV
s the {what} is covered until {v}
s the warranty for the {what} runs out on {v}
s the guarantee on the {what} expires on {v}
s after {v} the warranty of the {what} is over
s in fact {v} is the last day of the warranty for the {what}
s if the {what} breaks before {v}, they repair it for free
s the warranty of the {what} is good until {v}
q when does the warranty for the {what} run out
q how long is the {what} covered
q until what date is the {what} covered
q when does the guarantee on the {what} expire
q when is the warranty of the {what} over
q what is the last day of the warranty for the {what}
q until when would they repair the {what} for free
n the end of the guarantee on the {what}
n the expiry date of the warranty for the {what}
e until when the {what} is covered
e when the warranty for the {what} runs out

+ return_by
what = rented snowboard | borrowed projector | audiobook | costume from the shop | hired van |
  trial mattress
s the last day to return the {what} is {v}
s they want the {what} back by {v}
s I can keep the {what} until {v}
s actually {v} is when I have to take back the {what}
s I need to return the {what} by {v}
s the {what} goes back on {v}
s if I don't return the {what} by {v}, I pay a fine
q until when can I keep the {what}
q by when do I have to bring back the {what}
q what is the last day to return the {what}
q when do they want the {what} back
q when does the {what} go back
q on what date do I need to return the {what}
q when must the {what} be returned
n the last day to return the {what}
n the date the {what} is due back
e when the {what} is due back
e until when I can keep the {what}

+ brand
what = coffee | jeans | sun cream | dog food | printer ink | notebooks | washing powder | face cream
s I swear by {v} when it comes to {what}
s for {what} I only trust {v}
s the only {what} I use is from {v}
s the {what} in our house always has the label {v}
s I switched to {v} for {what}
s when I shop for {what}, I look for {v}
q what brand of {what} do I use
q which make of {what} do I trust
q whose {what} do I always buy
q which company makes the {what} I like
q what brand do I look for when I shop for {what}
q what is my usual brand of {what}
q which label is on the {what} I buy
n my usual brand of {what}
n the brand of {what} I use
e what brand of {what} I use
e which make of {what} I trust

+ capital_of
land = the role-playing game | my short story | the puppet play | the comic
who = princess | wizard | ship | robot | castle | monster | narrator
s in {land}, {v} is the name of the {who}
s I named the {who} in {land} {v}
s there is a {who} called {v} in {land}
s in {land} we meet the {who} {v}
s the {who} in {land} goes by {v}
s yes, {v} is what they call the {who} in {land}
s in {land} everyone calls the {who} {v}
q what did I name the {who} in {land}
q which name does the {who} in {land} have
q what does the {who} in {land} go by
q how is the {who} in {land} called
q what do they call the {who} in {land}
q what name did I choose for the {who} in {land}
n the {who}'s name in {land}
n the name I gave the {who} in {land}
e what I named the {who} in {land}
e how the {who} in {land} is called
"""
