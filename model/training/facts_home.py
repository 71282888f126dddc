"""Schemas about home, codes, accounts and money."""

SCHEMAS = """
# locker_code code me person
lock = locker | garage door~garage | front door | safe | bike lock | gym locker | suitcase | alarm
  | office door | mailbox~letterbox | storage unit | garden gate | lift~elevator | key box
s the code for {P} {lock} is {v}
s {P} {lock} code is {v}
s the code of {P} {lock} is {v}
s {S} set the code for {P} {lock} to {v}
s {P} {lock} opens with the code {v}
s to open {P} {lock} you type {v}
q what is the code for {P} {lock}
q what is {P} {lock} code
q which code opens {P} {lock}
q what code {do} {S} need for {P} {lock}
n the code for {P} {lock}
n {P} {lock} code
e what the code for {P} {lock} is
e which code opens {P} {lock}

# wifi password none
place = at home | at the office | at the cabin | at my parents' house | in the cafe | at the hotel
  | at the studio
s the wifi password {place} is {v}
s the password for the wifi {place} is {v}
s the network {place} uses the password {v}
s to get online {place} use the password {v}
a The wifi password {place} is {v}.
q what is the wifi password {place}
q what is the password for the wifi {place}
q how do I get on the wifi {place}
q which password do I need for the internet {place}
n the wifi password {place}
n the password for the wifi {place}
e what the wifi password {place} is

# account_password password me
account = email | bank | streaming | library | laptop | photo archive | work | shopping | game |
  school portal
s the password for my {account} account is {v}
s my {account} password is {v}
s I changed my {account} password to {v}
q what is my {account} password
q what is the password for my {account} account
n my {account} password
n the password for my {account} account
e what my {account} password is

# pin pin me person
card = bank card | SIM card | credit card | library card | phone | tablet | travel card
s the PIN of {P} {card} is {v}
s {P} {card} PIN is {v}
s {S} chose {v} as the PIN for {P} {card}
q what is the PIN of {P} {card}
q what is {P} {card} PIN
q which PIN {do} {S} use for {P} {card}
n the PIN of {P} {card}
n {P} {card} PIN
e what the PIN of {P} {card} is

# reference alnum none
doc = booking | hotel reservation | insurance claim | support ticket | train ticket | parcel |
  repair order | visa application | refund | loan | order for the sofa | concert booking
s the reference number of my {doc} is {v}
s my {doc} has the number {v}
s the reference for my {doc} is {v}
s they gave me {v} as the reference for my {doc}
a The reference number of your {doc} is {v}.
a Your {doc} is registered under {v}.
q what is the reference number of my {doc}
q what is the reference for my {doc}
q which number does my {doc} have
n the reference number of my {doc}
n the reference for my {doc}
e what the reference number of my {doc} is

# id_number alnum me person
id = passport | driving licence | employee badge | student card | insurance policy | membership
  card | bank account | bike frame | frequent flyer card
s the number of {P} {id} is {v}
s {P} {id} number is {v}
s {P} {id} has the number {v}
q what is the number of {P} {id}
q what is {P} {id} number
n {P} {id} number
n the number of {P} {id}
e what {P} {id} number is

# phone_extension pin me person
s {P} extension at work is {v}
s you can reach {O} at extension {v}
q what is {P} extension at work
q which extension {do} {S} have
n {P} extension at work
e what {P} extension is

# address address me person
s {P} address is {v}
s {S} [live|lives] at {v}
s {P} house is at {v}
s {S} moved into {v}
q what is {P} address
q what street and number {do} {S} live at
q at which address {do} {S} live
n {P} address
e what {P} address is

# where_is place none
object = passport | spare key | birth certificate | winter gloves | old camera | flashlight~torch
  | tape measure | sewing kit | charger | first aid kit | wedding ring | tax papers | guitar tuner
  | warranty card | sunglasses | umbrella | notebook | garage key | batteries | scissors
s I put the {object} in {v}
s the {object} is kept in {v}
s I left the {object} in {v}
s you will find the {object} in {v}
s I keep the {object} in {v}
q where is the {object}
q where did I put the {object}
q where do I keep the {object}
q in which place is the {object}
n the place where I put the {object}
e where the {object} is
e where I put the {object}

# price price none
item = rent | new sofa | car repair | electricity bill | gym membership | laptop | wedding dress |
  piano | dental bill | plane ticket | washing machine | birthday present for Mum | deposit |
  kitchen renovation | heating bill | bicycle
s the {item} costs {v}
s the {item} came to {v}
s I paid {v} for the {item}
s for the {item} they want {v}
q how much is the {item}
q how much does the {item} cost
q what is the price of the {item}
q how much did I pay for the {item}
n the price of the {item}
n the amount for the {item}
e how much the {item} costs
e what the {item} costs

# budget price none
goal = holiday | wedding | new kitchen | birthday party | garden project | team dinner |
  conference | car
s my budget for the {goal} is {v}
s I set aside {v} for the {goal}
s I can spend at most {v} on the {goal}
q what is my budget for the {goal}
q how much can I spend on the {goal}
n my budget for the {goal}
e how much I can spend on the {goal}

# car made_up me person
s {S} [drive|drives] a car of the brand {v}
s {P} car is made by {v}
s {S} bought a car made by {v}
q which brand is {P} car
q which make of car {do} {S} drive
q who makes {P} car
n the brand of {P} car
n the make of {P} car
e which brand {P} car is

# plate alnum me person
s {P} licence plate is {v}
s the number plate of {P} car is {v}
q what is {P} licence plate
q what is the number plate of {P} car
n the number plate of {P} car
e what {P} licence plate is

# paint colour none
part = front door | kitchen wall | bedroom | fence | bathroom | hallway | living room | garden
  bench | shed | ceiling of the nursery
s we painted the {part} {v}
s the {part} is {v} now
s I want the {part} painted {v}
s the colour of the {part} is {v}
q what colour is the {part}
q which colour did we choose for the {part}
n the colour of the {part}
e what colour the {part} is

# meter code none
meter = water meter | gas meter | electricity meter | odometer of the car | heating meter
s the {meter} reads {v}
s the reading of the {meter} is {v}
q what does the {meter} read
q what is the reading of the {meter}
n the reading of the {meter}
e what the {meter} reads

# bins weekday none
thing = bins | recycling | cleaner | milk delivery | gardener | vegetable box | window cleaner |
  paper collection
s the day for the {thing} is {v}
s for the {thing} the day is always {v}
q which day is for the {thing}
q what day is the day for the {thing}
n the day for the {thing}
e which day is for the {thing}
"""
