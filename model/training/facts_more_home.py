"""Schemas about the home, hiding places, money, presents and outings."""

SCHEMAS = """
# hidden_spot spot none
object = emergency cash~emergency money | Christmas presents | diary~journal | house deeds | old
  letters | second car key~other car key | jewellery box~jewellery | chocolate | love letters |
  treasure map | safe key | garden shears | backup drive~backup disk | gold coins | bottle of
  whisky | spare fuse | stamp album | will | insurance folder | chess pieces
s the hiding place of the {object} is {v}
s I hid the {object} {v}
s I put the {object} {v}
s you will find the {object} {v}
s we keep the {object} {v}
s the {object} can be found {v}
s I have moved the {object}, you find it {v}
s nobody knows that I hide the {object} {v}
s the place for the {object} is {v}
s if you look for the {object}, look {v}
a You keep the {object} {v}.
q where is the {object} hidden
q where did I hide the {object}
q where did I put the {object}
q where do we keep the {object}
q where can I find the {object}
q where should I look for the {object}
q in which place did I leave the {object}
q what is the hiding place of the {object}
q where have I stored the {object}
q what spot did I choose for the {object}
n the hiding place of the {object}
n the place where I put the {object}
n the spot for the {object}
n the whereabouts of the {object}
e where the {object} can be found
e where I hid the {object}
e where to look for the {object}

# costs money none
item = rent for the studio~studio rent | cleaning lady's pay~cleaner's pay | new roof |
  babysitter's pay | car insurance | parking fine | dog licence | childcare | trombone | phone
  bill | internet contract | violin repair | language course | caterer | hotel room | removal van
s the {item} comes to {v}
s the {item} costs {v}
s I pay {v} for the {item}
s they charge {v} for the {item}
s for the {item} we owe {v}
s the bill for the {item} is {v}
s I was quoted {v} for the {item}
s we agreed on {v} for the {item}
s the {item} sets us back {v}
a The {item} costs {v}.
q how much is the {item}
q what does the {item} cost
q how much do I pay for the {item}
q what do they charge for the {item}
q what was I quoted for the {item}
q how much money goes to the {item}
q what price did we agree on for the {item}
q what does the {item} come to
q how expensive is the {item}
n the cost of the {item}
n the price of the {item}
n the amount for the {item}
n the bill for the {item}
e how much the {item} is
e what the {item} costs
e how much we have to pay for the {item}

# spending_limit money none
goal = groceries | Christmas presents | the office party | the science fair | clothes | the new
  sofa | the school trip | books | the stag night | repairs
s the budget for {goal} is {v}
s we can spend {v} on {goal}
s I set aside {v} for {goal}
s the limit for {goal} is {v}
s we have {v} available for {goal}
s we agreed not to go beyond {v} for {goal}
s all we have for {goal} is {v}
s I was given {v} to spend on {goal}
q what is the budget for {goal}
q how much can we spend on {goal}
q how much did I set aside for {goal}
q what is the limit for {goal}
q how much money is there for {goal}
q what amount is reserved for {goal}
q how much am I allowed to spend on {goal}
q what sum is available for {goal}
n the budget for {goal}
n the spending limit for {goal}
n the money set aside for {goal}
n the sum available for {goal}
e how much we can spend on {goal}
e what the budget for {goal} is
e how much I set aside for {goal}

# vehicle car_model me person
kind = first car | company car | next car | dream car | family car
s {P} {kind} is {v}
s {P} {kind} is called {v} in the papers
s {S} chose {v} as {P} {kind}
s when it comes to the {kind}, {S} picked {v}
s {P} {kind} in the photo is {v}
s {S} [call|calls] {v} {P} {kind}
s for {P} {kind}, think of {v}
s the make of {P} {kind} is {v}
q what is {P} {kind}
q which model is {P} {kind}
q what make is {P} {kind}
q which vehicle is {P} {kind}
q what did {S} choose as {P} {kind}
q what {do} {S} call {P} {kind}
q what kind of vehicle is {P} {kind}
q what is the make and model of {P} {kind}
n {P} {kind}
n the make of {P} {kind}
n the model of {P} {kind}
n the vehicle that is {P} {kind}
e what {P} {kind} is
e which model {P} {kind} is
e what make {P} {kind} is

# present_idea present none
who = Grandpa | my godmother | my colleague | the twins | the newlyweds | my aunt | our host | my
  flatmate | the retiring boss | my pen friend
s the present for {who} is {v}
s I want to give {who} {v}
s I am going to buy {v} for {who}
s my idea for a present for {who} is {v}
s we all chip in to get {v} for {who}
s I have ordered {v} as a surprise for {who}
s {who} will get {v} from us
s I have already wrapped {v} for {who}
q what is the present for {who}
q what do I want to give {who}
q what am I going to buy for {who}
q what is my gift idea for {who}
q what did I order as a surprise for {who}
q what will {who} get from us
q which present did I pick for {who}
q what have I wrapped for {who}
n the present for {who}
n my gift idea for {who}
n the surprise for {who}
n what {who} will get
e what I want to give {who}
e what the present for {who} is
e what I ordered for {who}

# watering schedule none
what = rubber plant | basil | roses by the gate | olive tree | peace lily | strawberries | lawn |
  hanging baskets
s the {what} should be watered {v}
s I water the {what} on this schedule: {v}
s the {what} gets water {v}
s please give the {what} a drink {v}
s the gardener waters the {what} {v}
s watering the {what} is due {v}
s the days for watering the {what} are {v}
s for the {what} the plan is to water {v}
q when should the {what} be watered
q how often does the {what} get water
q on which days do I water the {what}
q when does the {what} need a drink
q what is the watering schedule of the {what}
q when do I have to look after the {what}
q when is watering the {what} due
q how often should I water the {what}
n the watering schedule of the {what}
n the days for watering the {what}
n the watering plan for the {what}
n the times when the {what} gets water
e when the {what} should be watered
e how often to water the {what}
e when to give the {what} water

# recipe_amount ingredient none
dish = pancake batter | pizza dough | apple crumble | marinade | fish stew | gingerbread | salad
  dressing | risotto | granola | chutney | pea soup
s the {dish} needs {v}
s for the {dish} you take {v}
s the secret of the {dish} is {v}
s the recipe for the {dish} calls for {v}
s I always put {v} into the {dish}
s my grandmother added {v} to the {dish}
s do not forget {v} for the {dish}
s the missing thing in the {dish} is {v}
a The {dish} needs {v}.
q what does the {dish} need
q what do I put into the {dish}
q what does the recipe for the {dish} call for
q what is the secret of the {dish}
q what did my grandmother add to the {dish}
q which ingredient must not be missing from the {dish}
q what goes into the {dish}
q what should I not forget for the {dish}
n the secret of the {dish}
n the ingredient for the {dish}
n what goes into the {dish}
n the thing to add to the {dish}
e what goes into the {dish}
e what the {dish} needs
e what the recipe for the {dish} calls for

# chore task me person
when = at the weekend | tomorrow | before Friday | next month | this evening | during the holidays
s {P} job around the house {when} is to {v}
s {S} [have|has] to {v} {when}
s {S} promised to {v} {when}
s {S} [am|is] supposed to {v} {when}
s {S} really [need|needs] to {v} {when}
s on {P} to-do list {when} is to {v}
s {S} [plan|plans] to {v} {when}
s {P} chore {when} is to {v}
q what {do} {S} have to do {when}
q what did {S} promise to do {when}
q what is on {P} to-do list {when}
q what is {P} chore {when}
q which task {do} {S} have {when}
q what {be} {S} supposed to do {when}
q what {do} {S} plan to do {when}
q what job is waiting for {O} {when}
n {P} task {when}
n {P} chore {when}
n the job waiting for {O} {when}
n the item on {P} to-do list {when}
e what {S} [have|has] to do {when}
e what {S} promised to do {when}
e what {P} chore is {when}

# colours_of colours none
what = team's flag | club scarf | new curtains | kitchen tiles | wedding flowers | logo | school
  uniform | boat's stripes | party balloons | bathroom towels | jersey
s the colours of the {what} are {v}
s the {what} will be {v}
s the {what} comes in {v}
s we chose {v} for the {what}
s for the {what} they picked {v}
s I ordered the {what} in {v}
s the {what} should be {v}
s we want the {what} in {v}
q what are the colours of the {what}
q which colours did we choose for the {what}
q what does the {what} look like
q in which colours did I order the {what}
q which colours will the {what} have
q which colours did they pick for the {what}
q how will the {what} be coloured
q which shades should the {what} have
n the colours of the {what}
n the colours chosen for the {what}
n the shades of the {what}
n the colour scheme of the {what}
e what the colours of the {what} are
e which colours we chose for the {what}
e how the {what} will be coloured

# size_of amount none
what = water tank | sofa | carpet | fish pond | suitcase | delivery of gravel | moving boxes order
  | bed frame | freezer | compost heap | wood pile
s the size of the {what} is {v}
s the {what} measures {v}
s we need {v} for the {what}
s I measured the {what} and got {v}
s the figure for the {what} is {v}
s on the label of the {what} it says {v}
s the shop needs to know that the {what} is {v}
s I noted {v} for the {what}
q what is the size of the {what}
q how big is the {what}
q what does the {what} measure
q what did I measure for the {what}
q what figure did I note for the {what}
q what does the label of the {what} say
q what are the measurements of the {what}
q how large is the {what}
n the size of the {what}
n the measurements of the {what}
n the figure for the {what}
n the number on the label of the {what}
e how big the {what} is
e what the {what} measures
e what I noted for the {what}

# invited names none
what = sailing trip | cooking evening | card game | panel discussion | duet concert | day at the
  lake | canoe tour | jury
s at the {what} there will be {v}
s I invited {v} to the {what}
s the people coming to the {what} are {v}
s for the {what} we have {v}
s signed up for the {what} are {v}
s the {what} is with {v}
s the guests of the {what} are {v}
s joining us for the {what} are {v}
q who will be at the {what}
q whom did I invite to the {what}
q who is coming to the {what}
q who signed up for the {what}
q who are the guests of the {what}
q which people take part in the {what}
q who is joining us for the {what}
q with whom is the {what}
n the guests of the {what}
n the people coming to the {what}
n the names of those at the {what}
n the participants of the {what}
e who is coming to the {what}
e whom I invited to the {what}
e who signed up for the {what}

# stops sights none
what = city walk | treasure hunt | school excursion | bike ride on Sunday | film shoot | parade |
  ghost tour | morning jog
s the stops of the {what} are {v}
s the {what} goes past {v}
s on the {what} we see {v}
s the {what} leads to {v}
s the places on the {what} are {v}
s we pass {v} on the {what}
s the plan of the {what} lists {v}
s the {what} includes {v}
q what are the stops of the {what}
q what does the {what} go past
q what do we see on the {what}
q where does the {what} lead
q which places are on the {what}
q what do we pass on the {what}
q what does the plan of the {what} list
q what is included in the {what}
n the stops of the {what}
n the places on the {what}
n the sights of the {what}
n the plan of the {what}
e where the {what} leads
e what we see on the {what}
e which places are on the {what}
"""
