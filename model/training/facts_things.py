"""Schemas about work, projects, things and numbers."""

SCHEMAS = """
# project_name title none
what = project | new app | boat | band | start-up | newsletter | robot | book I am writing |
  charity | rock group | short film | team at work
s the name of my {what} is {v}
s my {what} is called {v}
s we named the {what} {v}
s for the {what} I chose the name {v}
q what is the name of my {what}
q what is my {what} called
q which name did I choose for my {what}
n the name of my {what}
e what my {what} is called

# colleague first none
what = designer | new intern | project lead | tester | receptionist | team lead | sales manager |
  night nurse | head of research | data engineer | accountant | union representative
s the {what} at work is {v}
s our {what} is called {v}
s the name of our {what} is {v}
s at the office the {what} is {v}
q who is the {what} at work
q what is our {what} called
q what is the name of our {what}
n the name of our {what}
e who our {what} is

# server alnum none
what = test server | backup server | printer on the second floor | staging database | main router
  | build machine | conference phone
s the name of the {what} is {v}
s the {what} is called {v}
s the {what} goes by the name {v}
q what is the name of the {what}
q what is the {what} called
n the name of the {what}
e what the {what} is called

# port code none
what = test server | web service | database | mail relay | cache | metrics page | debug console
s the {what} listens on port {v}
s the port of the {what} is {v}
q which port does the {what} listen on
q what is the port of the {what}
n the port of the {what}
e which port the {what} listens on

# codeword phrase none
what = secret mission | group chat | treehouse | backup plan | quiz team | surprise party | night
  shift | radio drill
s the code word for the {what} is {v}
s our code word for the {what} is {v}
s we use {v} as the code word for the {what}
q what is the code word for the {what}
q which code word do we use for the {what}
n the code word for the {what}
e what the code word for the {what} is

# measure measure none
what = depth of the pond | height of the shelf | width of the window | length of the curtain |
  length of the table | height of the fence | width of the door
s the {what} is {v}
s I measured the {what}, and it is {v}
q what is the {what}
q what did I measure for the {what}
q what did the {what} turn out to be
n the {what}
e what the {what} is

# distance distance none
to = to the office | to the lake | to the next village | to the airport | around the island | to
  the summit
s the way {to} is {v} long
s it is {v} {to}
s the distance {to} is {v}
q how far is it {to}
q what is the distance {to}
q how long is the way {to}
n the distance {to}
e how far it is {to}

# count number none
what = chairs in the hall | boxes in the attic | books on the list | plants in the greenhouse |
  stamps in the album | tickets left | bricks for the wall | pages of the manuscript | bottles in
  the cellar | steps to the tower
s there are {v} {what}
s the number of {what} is {v}
s I counted the {what} and got {v}
q how many {what} are there
q what is the number of {what}
n the number of {what}
e how many {what} there are

# owner fullname none
what = red van | corner shop | house next door | old mill | bakery | fishing boat | vineyard |
  cinema | lost umbrella | farm
s the owner of the {what} is {v}
s the {what} belongs to {v}
q who owns the {what}
q who does the {what} belong to
q who is the owner of the {what}
n the owner of the {what}
e who owns the {what}

# bought_in year none
what = house | car | piano | cottage | company | boat | camera | painting | telescope
s I bought the {what} in {v}
s the {what} was bought in {v}
s the year I bought the {what} was {v}
q in which year did I buy the {what}
q when did I buy the {what}
n the year I bought the {what}
e when I bought the {what}

# came_from country none
what = rug | coffee beans | guitar | vase | recipe | clock | tea set | stamp collection
s the {what} comes from {v}
s the {what} was made in {v}
s my {what} is from {v}
q where does the {what} come from
q which country is the {what} from
n the country the {what} comes from
e where the {what} comes from

# lost_thing thing me person
where = on the train | at the airport | on the beach | in the park | at the cinema | in the taxi |
  at the library | at school
s {S} lost {v} {where}
s {S} left {v} {where}
s [I forgot|{S} forgot] {v} {where}
q what did {S} lose {where}
q what did {S} leave {where}
n the thing {S} lost {where}
e what {S} lost {where}

# reading title me person
s {S} {be} reading {v} at the moment
s the book {S} {be} reading is {v}
q what {be} {S} reading at the moment
q which book {be} {S} reading
n the book {S} {be} reading
e which book {S} {be} reading

# model alnum none
what = coffee machine | dishwasher | drill | camera | vacuum cleaner | printer | lawn mower |
  sewing machine | boiler
s the model of the {what} is {v}
s the {what} is a model {v}
q which model is the {what}
q what is the model of the {what}
n the model of the {what}
e which model the {what} is

# ingredient allergen none
what = bread | grandmother's cake | soup | salad | curry | sauce | cookies
s the secret ingredient of the {what} is {v}
s the {what} contains {v} as a secret ingredient
q what is the secret ingredient of the {what}
q which secret ingredient is in the {what}
n the secret ingredient of the {what}
e what the secret ingredient of the {what} is

# planted flowers none
where = by the gate | behind the shed | along the path | on the balcony | under the window | next
  to the pond
s {where} I planted {v}
s I planted {v} {where}
s the flowers {where} are {v}
q what did I plant {where}
q which flowers are {where}
n the flowers {where}
e what I planted {where}

# winner fullname none
what = chess tournament | baking contest | poetry prize | raffle | cycling race | quiz night |
  spelling bee | golf cup
s the winner of the {what} was {v}
s the {what} was won by {v}
q who won the {what}
q who was the winner of the {what}
n the winner of the {what}
e who won the {what}

# score code none
what = pinball game | chess rating | bowling night | credit score | final exam | game of darts
s my result in the {what} was {v}
s I got {v} in the {what}
q what was my result in the {what}
q what did I get in the {what}
n my result in the {what}
e what my result in the {what} was
"""
