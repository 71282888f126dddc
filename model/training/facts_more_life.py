"""Schemas about health, people and family, with values of several words and marks."""

SCHEMAS = """
# specialist titled me person
kind = cardiologist~heart doctor | dermatologist~skin doctor | eye doctor~ophthalmologist |
  physiotherapist~physio | paediatrician~children's doctor | surgeon | orthodontist | chiropractor
  | family doctor~GP
s {P} {kind} is {v}
s {P} {kind} is called {v}
s {P} {kind}'s name is {v}
s {S} [see|sees] {v}, the {kind}
s {S} [was|was] referred to a {kind} by the name of {v}
s the {kind} who treats {O} is {v}
s {S} [have|has] switched to a new {kind}, {v}
s {P} appointments with the {kind} are with {v}
s {S} [trust|trusts] {P} {kind}, {v}
q who is {P} {kind}
q what is {P} {kind} called
q what is the name of {P} {kind}
q which {kind} {do} {S} see
q which {kind} is treating {O}
q who treats {O} as a {kind}
q what {kind} did {S} switch to
q whose patient {be} {S} at the {kind}
n the name of {P} {kind}
n {P} {kind}'s name
n the {kind} {S} [see|sees]
n the name of the {kind} who treats {O}
e who {P} {kind} is
e what {P} {kind} is called
e which {kind} {S} [see|sees]

# helper person none
role = landlady | lawyer for the inheritance | notary | driving instructor | wedding planner |
  letting agent | bank adviser | tax inspector | head teacher~principal | choir conductor |
  building manager~janitor | football coach~football trainer | piano tuner from Leeds
s the {role} is {v}
s the {role} is called {v}
s the name of the {role} is {v}
s our {role} is {v}
s we have a new {role}, {v}
s the {role} introduced herself as {v}
s I spoke to {v}, the {role}
s the letter from the {role} is signed by {v}
s you can reach the {role} by asking for {v}
a The {role} is {v}.
q who is the {role}
q what is the {role} called
q what is the name of the {role}
q which name did the {role} give
q who works as the {role}
q whom do I ask for if I need the {role}
q who signed the letter from the {role}
q whom did I speak to about that as the {role}
n the name of the {role}
n the {role}'s name
n the person who is the {role}
n our {role}
e who the {role} is
e what the {role} is called
e whom to ask for as the {role}

# dosage dosage none
drug = blood pressure pills~blood pressure medicine | iron supplement | eye drops | sleeping pills
  | vitamin D | hay fever tablets~hay fever medicine | cat's worming pills | thyroid medicine |
  inhaler | heartburn medicine
s the dose of the {drug} is {v}
s I have to take the {drug} like this: {v}
s for the {drug} the doctor prescribed {v}
s the leaflet of the {drug} says {v}
s the pharmacist told me to use the {drug} as follows: {v}
s I was told to take {v} of the {drug}
s the {drug} should be taken as {v}
s my prescription for the {drug} is {v}
a For the {drug}, the dose is {v}.
a Your {drug} should be used like this: {v}.
q what is the dose of the {drug}
q how should I take the {drug}
q how do I use the {drug}
q how much of the {drug} do I take and when
q what did the doctor prescribe for the {drug}
q what does the leaflet of the {drug} say
q what are the instructions for the {drug}
q how is the {drug} supposed to be taken
n the dose of the {drug}
n the instructions for the {drug}
n the prescription for the {drug}
n how I should use the {drug}
e how to take the {drug}
e what the dose of the {drug} is
e how much of the {drug} I have to take

# motto motto me person
kind = motto~guiding principle | favourite saying~favourite proverb | favourite quote~favourite
  quotation
s {P} {kind} is {v}
s {P} {kind} has always been {v}
s {S} [have|has] a {kind}: {v}
s the {kind} [I live|{S} lives] by is {v}
s {S} [repeat|repeats] {P} {kind} all the time, and it goes {v}
s {P} {kind}, {v}, hangs on the wall
s if you ask {O} for a {kind}, it is {v}
s {P} {kind} goes like this: {v}
q what is {P} {kind}
q how does {P} {kind} go
q which {kind} {do} {S} have
q which {kind} hangs on {P} wall
q which words {do} {S} repeat as {P} {kind}
q what {do} {S} call {P} {kind}
q what would {S} give as {P} {kind}
q what are the words of {P} {kind}
n {P} {kind}
n the words of {P} {kind}
n the text of {P} {kind}
n the {kind} {S} [repeat|repeats]
e what {P} {kind} is
e how {P} {kind} goes
e which {kind} {S} [have|has]

# clothes_size size me person
item = trouser size | dress size | glove size | shirt size | boot size | helmet size
s {P} {item} is {v}
s {S} [wear|wears] {v} as {P} {item}
s {S} [need|needs] {v} as {item}
s the shop assistant measured {P} {item} as {v}
s when you buy me something for {O}, {P} {item} is {v}
s {P} {item} turned out to be {v}
s the tailor says {P} {item} is {v}
s for {P} {item} please put {v}
q what is {P} {item}
q which {item} {do} {S} wear
q what {item} {do} {S} need
q what {item} should I order for {O}
q what did they measure as {P} {item}
q what do I put down as {P} {item}
q which {item} fits {O}
q what {item} {do} {S} take
n {P} {item}
n the {item} {S} [wear|wears]
n the {item} that fits {O}
n the right {item} for {O}
e what {P} {item} is
e which {item} {S} [wear|wears]
e which {item} fits {O}

# coffee_order coffee_order me person
s {P} coffee order is {v}
s {P} usual at the cafe is {v}
s {S} always [order|orders] {v}
s at the coffee bar {S} [have|has] {v}
s {S} [start|starts] the day with {v}
s the barista knows to make {v} for {O}
s please get {v} for {O} when you go for coffee
s {S} never [take|takes] anything but {v} at the coffee shop
q what is {P} coffee order
q what {do} {S} always order at the cafe
q what is {P} usual at the coffee bar
q what [do you bring me|should I bring {O}] from the cafe
q what does the barista make for {O}
q which hot drink {do} {S} usually get
q how {do} {S} take {P} coffee
q what [should you|do I] order for {O} at the coffee shop
n {P} coffee order
n {P} usual at the cafe
n what {S} [order|orders] at the coffee shop
n the drink the barista makes for {O}
e what {P} coffee order is
e what {S} always [order|orders] at the cafe
e what the barista makes for {O}

# workout exercise me person
when = in the morning | on Mondays | on Wednesdays | after work | before bed | on Saturdays
s {P} workout {when} is {v}
s {when} {S} [do|does] {v}
s {P} trainer wants {O} to do {v} {when}
s {P} training plan for exercise {when} says {v}
s {S} [exercise|exercises] {when} with {v}
s {P} routine at the gym {when} consists of {v}
s {S} [have|has] to do {v} {when} to stay fit
s for fitness, {S} [go|goes] through {v} {when}
q what is {P} workout {when}
q what exercise {do} {S} do {when}
q which exercises are on {P} plan {when}
q what did the trainer tell {O} to do {when}
q how {do} {S} work out {when}
q what is {P} gym routine {when}
q how {do} {S} keep fit {when}
q what does {P} training look like {when}
n {P} workout {when}
n {P} exercise plan {when}
n {P} gym routine {when}
n the exercises {S} [do|does] {when}
e what {P} workout {when} is
e what exercise {S} [do|does] {when}
e what {P} trainer wants {when}

# race_time run_time me person
race = half marathon | 10k run~10k race | marathon | park run | triathlon | 400 metres | relay
s {P} time in the {race} was {v}
s {S} ran the {race} in {v}
s {S} finished the {race} in {v}
s {P} personal best in the {race} is {v}
s the clock stopped at {v} when {S} finished the {race}
s {S} needed {v} for the {race}
s {P} result in the {race} was {v}
s it took {O} {v} to complete the {race}
q what was {P} time in the {race}
q how fast did {S} run the {race}
q how long did {S} need for the {race}
q what is {P} personal best in the {race}
q in what time did {S} finish the {race}
q how long did it take {O} to complete the {race}
q when {S} crossed the line in the {race}, what did the clock show
q what was {P} result in the {race}
n {P} time in the {race}
n {P} result in the {race}
n {P} best time for the {race}
n the time {S} needed for the {race}
e how fast {S} ran the {race}
e what {P} time in the {race} was
e how long {S} needed for the {race}

# sleep_target short_span me person
what = sleep each night~sleep per night | screen time a day~screen time per day | meditation a day
  | guitar practice a day | reading before bed | stretching a day
s {P} target for {what} is {v}
s {S} [want|wants] to get {v} of {what}
s {P} goal is {v} of {what}
s {S} [am|is] aiming for {v} of {what}
s the doctor recommended {v} of {what} to {O}
s {S} decided on {v} of {what}
s {S} [have|has] limited {P} {what} to {v}
s {P} plan says {v} of {what}
q what is {P} target for {what}
q how much {what} {do} {S} want
q how much {what} {be} {S} aiming for
q what goal did {S} set for {what}
q how long should {P} {what} be
q what did the doctor recommend to {O} for {what}
q what amount of {what} did {S} decide on
q what does {P} plan say about {what}
n {P} target for {what}
n {P} goal for {what}
n the amount of {what} {S} [want|wants]
n the recommended {what} for {O}
e how much {what} {S} [want|wants]
e what {P} target for {what} is
e how long {P} {what} should be

# school institution me person
who = nephew | niece | grandson | stepson | godson | granddaughter
s {P} {who} goes to {v}
s {P} {who} attends {v}
s {P} {who} is a pupil at {v}
s {P} {who} has a place at {v}
s {P} {who} started at {v} this year
s {P} {who} moved to {v} last autumn
s {P} {who} was accepted at {v}
s every morning the bus takes {P} {who} to {v}
q where does {P} {who} go to school
q which school does {P} {who} attend
q where is {P} {who} a pupil
q where was {P} {who} accepted
q where did {P} {who} start this year
q where does {P} {who} go every morning
q at which place is {P} {who} taught
q where does {P} {who} study
n {P} {who}'s school
n the school {P} {who} attends
n the name of {P} {who}'s school
n the place where {P} {who} is a pupil
e where {P} {who} goes to school
e which school {P} {who} attends
e where {P} {who} was accepted

# mail_address email me person
kind = private | work | old | new | university
s {P} {kind} e-mail address is {v}
s {P} {kind} email is {v}
s you can reach {O} at the {kind} e-mail address {v}
s {S} [use|uses] {v} as {P} {kind} e-mail
s {P} {kind} mail goes to {v}
s for the {kind} account, write to {O} at {v}
s {S} [read|reads] {P} {kind} mail at {v}
s messages for {P} {kind} inbox go to {v}
q what is {P} {kind} e-mail address
q what is {P} {kind} email
q at which {kind} address can I write to {O}
q which e-mail {do} {S} use as the {kind} one
q where does {P} {kind} mail go
q where do I send a message for {P} {kind} inbox
q which address belongs to {P} {kind} inbox
q how can I reach {O} by {kind} e-mail
n {P} {kind} e-mail address
n {P} {kind} email
n the address of {P} {kind} inbox
n the {kind} e-mail {S} [use|uses]
e what {P} {kind} e-mail address is
e where {P} {kind} mail goes
e which {kind} e-mail {S} [use|uses]

# phone_number phone me person
kind = mobile~cell phone | landline | work phone | emergency line | new phone
s {P} {kind} number is {v}
s the number of {P} {kind} is {v}
s you can call {O} on the {kind} at {v}
s {P} {kind} has the number {v}
s to ring {P} {kind}, dial {v}
s {S} [have|has] a {kind} with the number {v}
s if you need {O}, call the {kind}, {v}
s {S} wrote down {v} as {P} {kind} number
q what is {P} {kind} number
q what is the number of {P} {kind}
q which number do I dial for {P} {kind}
q how can I call {O} on the {kind}
q at which number can I ring {P} {kind}
q what do I dial to reach {P} {kind}
q which number does {P} {kind} have
q what number did {S} write down for the {kind}
n {P} {kind} number
n the number of {P} {kind}
n the number to dial for {P} {kind}
n the digits of {P} {kind} number
e what {P} {kind} number is
e which number to dial for {P} {kind}
e how to call {O} on the {kind}
"""
