"""Schemas about people and pets: names, family, tastes, health."""

SCHEMAS = """
# pet_name petname me person
pet = dog~puppy | cat | parrot | rabbit~bunny | hamster | tortoise | horse | goldfish | guinea pig
s {P} {pet} is called {v}
s {P} {pet}'s name is {v}
s {S} {have} a {pet} called {v}
s {S} {have} a {pet} named {v}
s [I|{S}] named [my|the] {pet} {v}
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
rel = sister | brother | mother~mum | father~dad | aunt | uncle | cousin | grandmother~grandma |
  grandfather~grandpa | daughter | son | wife | husband | boss~manager | neighbour | landlord |
  flatmate~roommate | best friend | hairdresser | piano teacher | tennis partner
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

# son_daughter_school venue me person
who = son | daughter | twins | youngest child | oldest child
s the school for {P} {who} is called {v}
s the school of {P} {who} is {v}
s {P} {who}'s school is called {v}
q what is the school of {P} {who} called
q which school is for {P} {who}
n the school of {P} {who}
e what the school of {P} {who} is called

# anniversary date me person
s {P} wedding anniversary is on {v}
s {S} got married on {v}
s {S} [celebrate my|celebrates the] wedding anniversary on {v}
q when is {P} wedding anniversary
q when did {S} get married
q on which date did {S} get married
n {P} wedding anniversary
n the date of {P} wedding
e when {P} wedding anniversary is
e when {S} got married

# middle_name first me person
s {P} middle name is {v}
s {S} [have|has] the middle name {v}
s {P} parents chose {v} as the middle name
q what is {P} middle name
q which middle name {do} {S} have
n {P} middle name
e what {P} middle name is

# surname made_up me person
s {P} last name is {v}
s {P} surname is {v}
s {P} family name is {v}
s {S} [spell my|spells the] last name {v}
q what is {P} last name
q what is {P} surname
q what is {P} family name
n {P} last name
n {P} surname
e what {P} surname is

# my_name first me
s my name is {v}
s I am called {v}
s everybody calls me {v}
s I go by {v}
s you can call me {v}
q what is my name
q what am I called
q who am I
n my name
e what my name is
e what I am called

# height measure_cm me person
s {S} {be} {v} tall
s {P} height is {v}
s at the last check {S} [was|was] {v} tall
q how tall {be} {S}
q what is {P} height
n {P} height
e how tall {S} {be}

# weight measure_kg me person
s {S} [weigh|weighs] {v}
s {P} weight is {v}
s the scales showed {v} for {O}
q how much {do} {S} weigh
q what is {P} weight
n {P} weight
e how much {S} [weigh|weighs]

# blood blood me person
s {P} blood type is {v}
s {S} {have} blood type {v}
s {P} blood group is {v}
q what is {P} blood type
q which blood group {do} {S} have
n {P} blood type
n {P} blood group
e what {P} blood type is

# moving_to city me person
s {S} {be} moving to {v} soon
s {S} will relocate to {v}
s {S} found a new flat in {v} and will move there
q where {be} {S} moving
q which city {be} {S} moving to
n the city {S} {be} moving to
e where {S} {be} moving

# met_where venue me person
who = husband | wife | partner | best friend | business partner
s {S} met {P} {who} at {v}
s {P} {who} and {S} first met at {v}
q where did {S} meet {P} {who}
q at which place did {S} meet {P} {who}
n the place where {S} met {P} {who}
e where {S} met {P} {who}

# pet_age age none
pet = dog | cat | parrot | pony | tortoise | rabbit
s my {pet} is {v} years old
s my {pet} turned {v}
s the age of my {pet} is {v}
q how old is my {pet}
q what is the age of my {pet}
n the age of my {pet}
e how old my {pet} is

# breed made_up none
pet = dog~puppy | cat | horse | sheep | chicken
s my {pet} is a {v} by breed
s the breed of my {pet} is {v}
s my {pet} belongs to the breed {v}
q what breed is my {pet}
q which breed is my {pet}
n the breed of my {pet}
e what breed my {pet} is
"""
