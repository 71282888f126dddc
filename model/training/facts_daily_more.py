"""More wordings for the schemas about lists, errands, school, health and leisure."""

SCHEMAS = """
+ shopping_list
list = grocery list | camping list | list for the pharmacy | list for the party | garden centre list
s my {list} has {v} on it
s I wrote {v} on the {list}
s the {list} includes {v}
s don't forget, the {list} has {v}
s so far the {list} consists of {v}
s the things on my {list} are {v}
s I still need to get {v}, that is my {list}
s I just put {v} on the {list}
q what does the {list} say
q what did I write on my {list}
q what do I need from the {list}
q what items are on the {list}
q what is written on my {list}
q which things did I put on the {list}
q what does my {list} consist of
q what do I have to get according to my {list}
n the things on my {list}
n the items on the {list}
e what I put on the {list}
e which things are on my {list}

+ ingredients
dish = pancake mix | casserole | fruit punch | pie | stir-fry
s in the {dish} there are {v}
s the {dish} calls for {v}
s I make the {dish} with {v}
s the recipe for the {dish} asks for {v}
s I put {v} in the {dish}
s to make the {dish}, get {v}
s you can't make the {dish} without {v}
a The {dish} is made with {v}.
q what goes into the {dish}
q what is in the {dish}
q what do I put in the {dish}
q which ingredients do I need for the {dish}
q what does the recipe for the {dish} ask for
q what do you make the {dish} from
q what are the ingredients of the {dish}
n the ingredients of the {dish}
n the things that go into the {dish}
e what goes into the {dish}
e which ingredients are in the {dish}

+ teacher
subject = physics | guitar | violin | Spanish | singing | yoga | judo | English | tennis
s in fact {v} teaches {O} {subject}
s {S} [take|takes] {subject} lessons from {v}
s in {subject} {S} [have|has] {v} as a teacher
s {P} teacher in {subject} is {v}
s for {subject} {S} got {v} this year
s the one who teaches {O} {subject} is {v}
s {S} [am|is] in the {subject} class of {v}
q who gives {O} {subject} lessons
q who {do} {S} have in {subject}
q which teacher {do} {S} have in {subject}
q who {do} {S} learn {subject} with
q with whom {do} {S} take {subject} lessons
q what is the name of {P} {subject} teacher
q whose {subject} class {be} {S} in
n {P} teacher in {subject}
n {P} {subject} teacher's name
e who teaches {O} {subject}
e what {P} {subject} teacher is called

+ grade
subject = chemistry | English | art | philosophy | Latin | computer science
s {P} grade in {subject} is {v}
s {S} scored {v} in {subject}
s {S} came home with {v} in {subject}
s in {subject} {S} ended up with {v}
s the {subject} test came back with {v} for {O}
s actually {v} is what {S} got in {subject}
s {S} passed {subject} with {v}
q what grade did {S} get in {subject}
q what is {P} grade in {subject}
q how did {S} do in {subject}
q what mark did {S} get in {subject}
q what did {S} score in {subject}
q how well did {S} do in {subject}
q with what result did {S} pass {subject}
n {P} grade in {subject}
n {P} mark in {subject}
n {P} score in {subject}
e what {P} grade in {subject} is
e how {S} did in {subject}

+ bus
where = to the old town | to the shopping centre | to the zoo | to my house | to the lake |
  to the train station | to the university
s you get {where} with line {v}
s the number of the bus {where} is {v}
s bus {v} will bring you {where}
s I always take bus {v} {where}
s bus {v} runs {where}
s hop on the {v} if you want to go {where}
s the line {where} is the {v}
s {where} you go with bus number {v}
a The bus {where} is line {v}.
q which bus do I take {where}
q what bus takes me {where}
q what number is the bus {where}
q how do I get {where} by bus
q what bus line runs {where}
q which bus brings me {where}
q what is the number of the bus {where}
n the number of the bus {where}
n the bus {where}
n the right line {where}
e which bus goes {where}
e which bus I take {where}

+ bus_time
what = ferry back | last bus | early train | coach to the airport | night bus
s the {what} is at {v}
s the {what} sets off at {v}
s I have to catch the {what} at {v}
s yes, {v} is when the {what} leaves
s the {what} pulls out at {v}
s according to the timetable, the {what} leaves at {v}
s the departure of the {what} is at {v}
s be there by {v} or the {what} is gone
a The {what} departs at {v}.
q when is the {what}
q what time is the {what}
q what time does the {what} leave
q when does the {what} depart
q when do I have to catch the {what}
q at what time does the {what} set off
q what does the timetable say for the {what}
n the departure of the {what}
n the time of the {what}
e what time the {what} leaves
e when the {what} departs
e when I have to catch the {what}

+ opening
what = bank | butcher | ice rink | town hall | sauna | garden centre | gym | market
s the doors of the {what} open at {v}
s you can get into the {what} from {v}
s it so happens that {v} is when the {what} opens
s the {what} starts the day at {v}
s before {v} the {what} is closed
s the {what} won't open until {v}
s the {what} unlocks its doors at {v}
s nobody can enter the {what} before {v}
a The {what} is open from {v}.
q at what time does the {what} open
q how early does the {what} open
q when do the doors of the {what} open
q since what time in the morning is the {what} open
q when can I get into the {what}
q when does the {what} start the day
q until when is the {what} closed in the morning
n the time the {what} opens
n the opening hour of the {what}
e what time the {what} opens
e from when the {what} is open

+ pick_up
who = my daughter | the dog from the vet | the rental van | the pizza | my suit | the tickets |
  my nephew | the flowers
s I need to collect {who} at {v}
s I should get {who} at {v}
s {who} can be collected at {v}
s in fact {v} is when I pick up {who}
s I promised to fetch {who} at {v}
s be on time, we collect {who} at {v}
s at {v} I am going to pick up {who}
s my plan is to collect {who} at {v}
q when do I have to collect {who}
q what time do I need to fetch {who}
q when should I get {who}
q when am I going to pick up {who}
q at what time did I promise to fetch {who}
q what time am I collecting {who}
q when do I pick up {who}
n the pick-up time for {who}
n the time at which I collect {who}
e what time I pick up {who}
e when to collect {who}

+ meeting_place
who = my old teacher | the recruiter | the wedding planner | my pen pal | the architect |
  the tax adviser | the band | Aunt Rosa
s I will see {who} at {v}
s I have a meeting with {who} at {v}
s {who} will be waiting for me at {v}
s we picked {v} to meet {who}
s actually {v} is where I am meeting {who}
s I said to {who} that we meet at {v}
s I agreed to meet up with {who} at {v}
s I am going to sit down with {who} at {v}
q where will I see {who}
q where am I going to meet {who}
q where did I agree to meet {who}
q what place did we pick to meet {who}
q where will {who} be waiting for me
q in what place am I meeting {who}
q where do I have to go to meet {who}
n the place for my meeting with {who}
n the meeting point with {who}
e where I am going to meet {who}
e where {who} will be waiting

+ borrowed
who = my aunt | the caretaker | my uncle | the couple next door | my boss | the band
s yes, {v} belongs to {who}, I only borrowed it
s I took {v} on loan from {who}
s I got {v} on loan from {who}
s {who} gave me {v} to use for a while
s I am using {v}, which {who} lent me
s {who} wants to have {v} back
s it so happens that {v} has to go back to {who}
s I promised {who} to give back {v}
q what did I get on loan from {who}
q what do I have to give back to {who}
q which thing did {who} lend me
q what belongs to {who} and is with me
q what does {who} want to have back
q what have I borrowed from {who}
q what did {who} let me use
n the thing {who} lent me
n the thing I must return to {who}
e what {who} lent me
e what I have to return to {who}

+ owes
who = the landlord | my sister | the garage | my neighbour | the vet | the painter
s {who} gets {v} from me
s {who} is still waiting for {v} from me
s I still haven't paid {who} the {v}
s I am {v} in debt to {who}
s I have to give {who} {v} back
s in fact {v} is what I owe {who}
s the bill from {who} is open, it is {v}
s my debt with {who} has grown to {v}
q how much do I have to pay {who}
q how big is my debt to {who}
q how much does {who} get from me
q what do I owe {who}
q what sum do I owe {who}
q how much money does {who} want from me
q how much do I still have to give {who}
n my debt to {who}
n the money I owe {who}
e what I owe {who}
e how much I have to pay {who}

+ salary
s {S} [make|makes] {v} a month
s {P} monthly pay is {v}
s {P} paycheck is {v} each month
s {S} [bring|brings] home {v} a month
s {S} [am|is] paid {v} a month
s every month {v} lands in {P} account
s after the raise {S} [earn|earns] {v} a month
s {P} boss [pays me|pays {S}] {v} a month
q how much {do} {S} make a month
q how much money {do} {S} make
q what {do} {S} earn
q how much {do} {S} get paid
q what is {P} monthly pay
q how big is {P} paycheck
q what {do} {S} bring home every month
q how much does {P} job pay
n {P} wage
n {P} paycheck
n {P} monthly income
e how much {S} [make|makes] a month
e what {P} salary is
e what {S} [earn|earns]

+ dose
drug = nasal spray | allergy medicine | sleeping syrup
s actually {v} of the {drug} is enough
s the label on the {drug} says {v}
s the pharmacist told me to take {v} of the {drug}
s I should take {v} of the {drug} at a time
s yes, {v} is the right dose of the {drug}
s the {drug} is to be taken in doses of {v}
s never take more than {v} of the {drug}
a You should take {v} of the {drug}.
q how much of the {drug} should I take
q how much {drug} do I need
q what is the right dose of the {drug}
q what amount of the {drug} do I have to take
q what dose of the {drug} did the doctor give me
q what does the label on the {drug} say
q how much of the {drug} is enough
n the right dose of the {drug}
n the dosage of the {drug}
n the amount of the {drug} I have to take
e what the dose of the {drug} is
e how much of the {drug} to take

+ blood_pressure
s at the check-up {P} blood pressure came out at {v}
s the doctor took {P} blood pressure and got {v}
s {P} blood pressure is around {v}
s the cuff showed {v} for {P} blood pressure
s the reading of {P} blood pressure was {v}
s with {P} blood pressure [I am|{S} is] at {v}
s the last blood pressure value [I got|{S} got] was {v}
q what did the nurse measure for {P} blood pressure
q what was {P} blood pressure
q what was {P} last blood pressure reading
q how high is {P} blood pressure
q what is {P} blood pressure reading
q how high was {P} blood pressure
q what did the cuff show for {P} blood pressure
n {P} blood pressure reading
n {P} last blood pressure value
e what {P} blood pressure was
e how high {P} blood pressure is

+ temperature
what = incubator | wine fridge | heating in the nursery | kiln | bath | server room | freezer
s keep the {what} at {v}
s the {what} is set to {v}
s it so happens that {v} is the right setting for the {what}
s I turned the {what} to {v}
s the {what} must be kept at {v}
s the thermostat of the {what} is on {v}
s the {what} works best at {v}
a Set the {what} to {v}.
q how hot or cold should the {what} be
q what temperature is the {what} set to
q what do I set the {what} to
q at what temperature do I keep the {what}
q how many degrees should the {what} have
q what is the thermostat of the {what} on
q at what temperature does the {what} work best
n the right temperature for the {what}
n the setting of the {what}
e what temperature the {what} is set to
e what to set the {what} to

+ plant_water
what = palm~palm tree | rose bush | monstera | avocado plant | hydrangea | bamboo
s give the {what} some water {v}
s in fact {v} I water the {what}
s the {what} must get water {v}
s I have to water the {what} {v}
s the {what} gets thirsty, so it is watered {v}
s you should water the {what} {v}
s it is enough to water the {what} {v}
s the {what} drinks water {v}
q how often should I water the {what}
q how often does the {what} get water
q how many times do I have to water the {what}
q what is the watering schedule of the {what}
q how frequently does the {what} need water
q how often do I give water to the {what}
q when does the {what} need water
n the watering schedule of the {what}
n how often the {what} needs water
e how often I water the {what}
e how often to water the {what}
"""
