"""More wordings for the schemas about family, pets and names."""

SCHEMAS = """
+ pet_name
pet = pony | budgie~parakeet | ferret | lizard~gecko | kitten | snake | donkey | duck
s [we|they] ended up calling {P} {pet} {v}
s it was {v} that [I|{S}] chose as a name for {P} {pet}
s {P} {pet} goes by {v}
s {P} {pet} answers to the name {v}
s {P} {pet}, {v}, is asleep on the sofa
s in fact {v}, {P} {pet}, chewed up a shoe again
s the {pet} {S} adopted was given the name {v}
s {S} [own|owns] a {pet}, and {v} is its name
s when [I|{S}] got the {pet}, [we|the family] settled on the name {v}
s [I have|{S} has] a {pet} that listens only to {v}
q what did [I|{S}] name {P} {pet}
q what name did [we|they] give {P} {pet}
q who is {P} {pet}
q what name does {P} {pet} answer to
q what do [I|they] call {P} {pet}
q what does {P} {pet} go by
q by what name {do} {S} call the {pet}
n the name {S} gave {P} {pet}
n what {P} {pet} is called
e what [I|{S}] named {P} {pet}
e what name {P} {pet} goes by

+ relative_name
rel = girlfriend | boyfriend | partner | nephew | niece | mother-in-law | father-in-law | stepson |
  godmother | godson | fiance | babysitter | neighbour upstairs | personal trainer | ex-wife |
  penfriend~pen pal | twin sister | godfather | choir director
s actually {v}, my {rel}, called this morning
s my {rel} {v} says hello
s I was out with {v}, my {rel}, last night
s we went to see my {rel} {v} at the weekend
s the person you see there is {v}, my {rel}
s you have not met my {rel} yet, the name is {v}
s I have a {rel} called {v}
s I have a {rel} named {v}
s my {rel}, {v}, is coming over
s everyone knows my {rel} as {v}
s a message came from {v}, who is my {rel}
q what name does my {rel} have
q what name does my {rel} go by
q how is my {rel} called
q what do people call my {rel}
q what was my {rel} called
q which name belongs to my {rel}
q by what name do I know my {rel}
n the first name of my {rel}
n what my {rel} is called
e what the name of my {rel} is
e what name my {rel} goes by

+ doctor
kind = midwife | notary | accountant~tax adviser | speech therapist | career coach
s the {kind} {S} [go|goes] to is {v}
s when [I need|{S} needs] a {kind}, {v} is the one to call
s {S} just switched to {v} as {P} {kind}
s {S} [have|has] an excellent {kind}, {v}
s the name of {P} {kind} is {v}
s yes, {v}, {P} {kind}, was recommended by a friend
s {S} [am|is] in good hands with {v} as the {kind}
s the {kind} who looks after {O} is {v}
q what is {P} {kind}'s name
q what is the name of {P} {kind}
q who is the {kind} {S} [go|goes] to
q which {kind} looks after {O}
q who {do} {S} have as a {kind}
q who acts as {P} {kind}
q what is the {kind} called that {S} [go|goes] to
n {P} {kind}
n {P} {kind}'s name
n the {kind} {S} [go|goes] to
e what {P} {kind} is called
e who {S} [have|has] as a {kind}

+ allergy
s {S} can't have {v}, it is an allergy
s even a little {v} makes {O} ill
s {S} [break|breaks] out in a rash because of {v}
s the allergy test came back positive for {v}
  [for me|for {S}]
s since childhood {S} [have|has] reacted badly to {v}
s it is {v} that [sets off my allergy|sets off the allergy of {S}]
s please keep {v} away from {O}, because of the allergy
s what {S} [have|has] is an allergy to {v}
s {P} allergy is to {v}
q what triggers {P} allergy
q what can't {S} have because of an allergy
q what kind of allergy {do} {S} have
q what {do} {S} react badly to
q what is {P} allergy
q what sets off {P} allergy
q what makes {O} break out in a rash
q which substance {be} {S} unable to tolerate
q what could cause an allergic reaction in {O}
n {P} known allergy
n the cause of {P} allergic reactions
n the allergen {S} must avoid
e what {S} can't have because of an allergy
e what triggers {P} allergy

+ birthday
s {P} birthday falls on {v}
s [I turn|{S} turns] a year older on {v}
s [we|they] always have cake for {P} birthday on {v}
s mark {v} in the calendar, it is {P} birthday
s it was on {v} that {S} came into the world
s {S} [blow|blows] out the candles on {v} every year
s {S} [have|has] a birthday on {v}
s {P} date of birth is {v}
s it so happens that {v} is {P} birthday
s the big day for {O} is {v}, {P} birthday
q what is {P} date of birth
q on what date {was} {S} born
q what date is {P} birthday
q when should [you congratulate me|I congratulate {S}] on the birthday
q when {do} {S} celebrate [my|the] birthday
q when {do} {S} turn a year older
q which day of the year {was} {S} born on
q on which date does {P} birthday fall
q when does {P} birthday come around
n {P} date of birth
n the day {S} {was} born
n the date when {S} [have|has] a birthday
e on which day {S} {was} born
e what {P} date of birth is

+ birth_year
s it was in {v} that {S} came into the world
s {S} [am|is] a child of the year {v}
s the year {S} {was} born is {v}
s on {P} passport the year of birth is {v}
s back in {v}, when {S} {was} born, things were different
s {S} came into the world in {v}
s {P} birth year is {v}
s in fact {v} is the year {S} {was} born in
q what year {was} {S} born
q what year {was} {S} born in
q which year did {S} come into the world
q what is {P} birth year
q in what year did {S} come into the world
q which is the year of {P} birth
n {P} birth year
n the year {S} {was} born
e what year {S} {was} born
e what {P} year of birth is

+ anniversary
s {P} wedding was on {v}
s {S} said "I do" on {v}
s actually {v} is {P} wedding anniversary
s every year on {v} {S} [celebrate|celebrates] the wedding anniversary
s it was on {v} that {S} got married
s {S} tied the knot on {v}
s the date {S} got married is {v}
s {S} had {P} wedding on {v}
q what is the date of {P} wedding anniversary
q what day is {P} wedding anniversary
q when was {P} wedding
q on what day did {S} tie the knot
q when did {S} tie the knot
q when {do} {S} celebrate the wedding anniversary
q what date did {S} get married on
n the day {S} got married
n {P} wedding date
e on which date {S} got married
e when {P} wedding was

+ middle_name
s {S} [was|was] given the middle name {v}
s between the first and the last name [I have|{S} has] {v}
s yes, {v} is {P} middle name
s {P} passport shows {v} as the middle name
s hardly anyone knows it, but {P} middle name is {v}
s {S} never [use|uses] {P} middle name, {v}
s the middle name on {P} birth certificate is {v}
q what middle name {do} {S} have
q what {was} {S} given as a middle name
q what does it say as the middle name in {P} passport
q what name stands between {P} first and last name
q which name did {P} parents choose as the middle name
q what is the middle name that {S} [have|has]
n the middle name {S} {was} given
n the name between {P} first and last name
e which middle name {S} [have|has]
e what middle name {S} {was} given

+ surname
s in the phone book {S} {be} listed under {v}
s it so happens that {v} is {P} last name
s in fact {v} is {P} surname
s after the wedding {S} took the last name {v}
s the name on {P} doorbell is {v}
s {S} [come|comes] from the {v} family
s {S} signed the form with the last name {v}
s on paper {P} last name is {v}
q which last name {do} {S} have
q what surname {do} {S} have
q what family name {do} {S} go by
q under which last name {be} {S} listed
q how {do} {S} spell [my|the] last name
q what name is on {P} doorbell
q what is the surname that {S} [have|has]
n {P} family name
n the last name {S} [use|uses]
e what {P} last name is
e what {P} family name is

+ my_name
s I am {v}
s the name is {v}
s I'm {v}, nice to meet you
s call me {v}
s people know me as {v}
s actually {v} is my name
s my parents named me {v}
s this is {v} speaking
s I go by the name {v}
s you are talking to {v}
s I introduce myself as {v}
s I was christened {v}
q what do people call me
q what name do I go by
q how should you call me
q what did my parents name me
q who are you talking to
q what did I say my name was
q what was my name
q by what name do people know me
n the name I go by
n my first name
n my own name
e who I am
e what my first name is
e what people call me

+ nickname
s they gave {O} the nickname {v}
s {P} friends know {O} as {v}
s at home everybody says {v} to {O}
s yes, {v} is what friends call {O}
s among friends {S} {be} known as {v}
s it so happens that {v} is {P} nickname
s {P} old team used to call {O} {v}
s the pet name [I got|{S} got] as a child is {v}
s {S} got stuck with the nickname {v}
q which nickname {do} {S} have
q what nickname did they give {O}
q what {be} {S} known as among friends
q what do {P} friends say instead of {P} real name
q what did everyone at school call {O}
q which pet name did {S} get as a child
q what nickname {do} {S} go by
n the nickname {S} got
n the name {P} friends use for {O}
e what friends call {O}
e which nickname {S} [have|has]

+ pet_age
pet = hamster | goldfish | guinea pig | donkey | kitten
s my {pet} had a birthday and is {v} now
s my {pet} is already {v}
s at {v}, my {pet} is still full of energy
s the vet guesses that my {pet} is {v} years of age
s my {pet} has reached the age of {v}
s we just celebrated, my {pet} is now {v}
s the {pet} I have is {v} years old
q what age is my {pet}
q how many years old is my {pet}
q how many years has my {pet} lived
q what age did my {pet} reach
q how old did I say my {pet} is
q how old has my {pet} got
n my {pet}'s age
n the number of years my {pet} has lived
e what age my {pet} is
e how old my {pet} is by now

+ breed
pet = goat | duck | rabbit~bunny | cow | pony
s my {pet} is of the {v} breed
s we picked a {v} when we got a {pet}
s the vet says that my {pet} is a {v}
s I have a {pet}, a {v}
s my {pet} happens to be a purebred {v}
s as for my {pet}, it is a {v}
s my {pet} is a mix with a lot of {v} in it
s I wanted a {v}, so that is the kind of {pet} I got
q what kind of {pet} do I have
q what sort of {pet} do I own
q which breed did I choose for my {pet}
q what is the breed of my {pet}
q which breed does my {pet} belong to
q what type of {pet} is mine
q what breed of {pet} did I get
n my {pet}'s breed
n the kind of {pet} I have
e which breed my {pet} is
e what kind of {pet} I have

+ met_where
who = girlfriend | boyfriend | co-founder | roommate | fiance
s it was at {v} that {S} met {P} {who}
s {S} got to know {P} {who} at {v}
s {S} ran into {P} {who} for the first time at {v}
s in fact {v} is where {S} first saw {P} {who}
s actually {v} is the place where {S} met {P} {who}
s {P} {who} was sitting at {v} when {S} first saw them
s a friend introduced {O} to {P} {who} at {v}
s {P} story with {P} {who} began at {v}
q where did {S} get to know {P} {who}
q where did {S} first see {P} {who}
q where did {S} and {P} {who} first meet
q in what place did {S} run into {P} {who} for the first time
q where did somebody introduce {O} to {P} {who}
q where did {P} story with {P} {who} begin
q what is the place where {S} met {P} {who}
n the spot where {S} first met {P} {who}
n the place where {P} {who} and {S} got to know each other
e where {S} got to know {P} {who}
e where {S} and {P} {who} first met

+ son_daughter_school
who = middle child
s {P} {who} goes to school at {v}
s {P} {who} will start at {v} after the holidays
s every morning [I take|{S} takes] {P} {who} to {v}, the school
s [we|they] enrolled {P} {who} at {v}
s yes, {v} is the school that {P} {who} goes to
s the school they picked for {P} {who} is {v}
s there is a school called {v} where {P} {who} learns to read
s {P} {who} got a place at the school {v}
q where does {P} {who} go to school
q which school does {P} {who} go to
q what is the name of {P} {who}'s school
q which school did {P} {who} get a place at
q at which school is {P} {who} enrolled
q what school does {P} {who} attend
q where is {P} {who} being taught
n {P} {who}'s school
n the name of {P} {who}'s school
e which school {P} {who} goes to
e where {P} {who} goes to school

+ emergency
s {S} put down {v} as the emergency contact
s it so happens that {v} is the one to call if {S} [have|has] an accident
s the person to reach in case of an emergency is {v}
  [for me|for {S}]
s {P} emergency card says to phone {v}
s if [I end|{S} ends] up in hospital, let {v} know
s on the form {S} named {v} as the emergency contact
s please ring {v} in case of an accident, for {O}
s {S} [want|wants] {v} to be called in an emergency
q who do [you|we] call if {S} [have|has] an accident
q who is to be called if something happens to {O}
q whom did {S} name as the emergency contact
q what is the name of {P} emergency contact
q who should hear about it if [I end|{S} ends] up in hospital
q who did {S} put down as the emergency contact
q which person should be phoned in an emergency, for {O}
n the name of {P} emergency contact
n the person to call if something happens to {O}
n {P} person for emergencies
e who should be called for {O} in an emergency
e who to call if something happens to {O}
"""
