"""More wordings for the schemas about things in the house, money and work on the house."""

SCHEMAS = """
+ where_is
object = glue | ladder | corkscrew | compass | fuse box key | hammer | photo album | receipt
  | hair dryer | ironing board | chess board | travel adapter~plug adapter | cat carrier |
  thermometer | vaccination card | ski helmet | sleeping bag | library card
s I stored the {object} in {v}
s I hid the {object} in {v}
s I stashed the {object} away in {v}
s if you look for the {object}, check {v}
s in {v} you will find the {object}
s in {v} there is the {object}
s the place for the {object} is {v}
s somebody moved the {object} to {v}
s I finally found the {object} in {v}, and that is where it stays
s the {object} can be found in {v}
s the {object} ended up in {v}
s I tucked the {object} into {v}
a You put the {object} in {v}.
a The {object} should be in {v}.
q where can I find the {object}
q where did I leave the {object}
q where did I hide the {object}
q where did I store the {object}
q where did the {object} end up
q where should I look for the {object}
q where do we keep the {object}
q what is the place for the {object}
q where have I put the {object}
q in what spot did I leave the {object}
q where would I find the {object}
n the location of the {object}
n the place for the {object}
n the hiding place of the {object}
e where I can find the {object}
e where I left the {object}
e where I keep the {object}

+ price
item = fridge | new tyre | school trip | bouquet | winter coat | mattress | roof repair | phone
  contract | concert ticket | guitar | haircut | moving van
s in fact {v} is the price of the {item}
s the {item} is priced at {v}
s I spent {v} on the {item}
s they charged me {v} for the {item}
s the bill for the {item} is {v}
s the {item} set me back {v}
s I had to shell out {v} for the {item}
s it was {v} that I paid for the {item}
s the {item} will cost me {v}
s the total for the {item} was {v}
s they quoted me {v} for the {item}
a The {item} costs {v}.
q what does the {item} cost
q what did I pay for the {item}
q how much did I spend on the {item}
q how expensive is the {item}
q how much did they charge me for the {item}
q what was the bill for the {item}
q how much money went into the {item}
q how much did the {item} set me back
q what was the total for the {item}
q what are they asking for the {item}
n the cost of the {item}
n the total for the {item}
n the sum I paid for the {item}
e how much I paid for the {item}
e how much I spent on the {item}
e what the price of the {item} is

+ budget
goal = new bathroom | sailing trip | wedding dress | computer | Christmas presents | charity event
s actually {v} is my limit for the {goal}
s the {goal} must not cost more than {v}
s I don't want to spend more than {v} on the {goal}
s there is {v} in the budget for the {goal}
s we agreed on a budget of {v} for the {goal}
s I have saved up {v} for the {goal}
s for the {goal} I can afford {v}
s the most I can pay for the {goal} is {v}
q what is the spending limit for the {goal}
q how much money is there for the {goal}
q what can I afford for the {goal}
q how much did I set aside for the {goal}
q what is the most I can pay for the {goal}
q how much may the {goal} cost
q how much have I saved up for the {goal}
q what budget do I have for the {goal}
n the budget for the {goal}
n my limit for the {goal}
n the money set aside for the {goal}
e what my budget for the {goal} is
e how much the {goal} may cost

+ paint
part = garage door | window frame | garden gate | bathroom door | staircase | kitchen cupboard |
  bookshelf | balcony railing | office wall | attic
s we went for {v} when we painted the {part}
s the painters made the {part} {v}
s for the {part} we picked {v}
s I bought some {v} paint for the {part}
s the {part} got a coat of {v}
s we decided on {v} for the {part}
s it was {v} that we chose for the {part}
s the {part} will be {v}
q what is the colour of the {part}
q what colour did we paint the {part}
q which colour did I want for the {part}
q what colour of paint did we buy for the {part}
q what shade is the {part}
q which colour was picked for the {part}
q in what colour was the {part} painted
n the paint colour of the {part}
n the colour we chose for the {part}
n the shade of the {part}
e which colour we chose for the {part}
e what colour we painted the {part}

+ meter
meter = oil tank gauge | solar panel meter | hot water meter | pressure gauge | step counter
s I read the {meter}, and it said {v}
s the {meter} shows {v}
s the {meter} stands at {v}
s the number on the {meter} is {v}
s I wrote down {v} for the {meter}
s today the {meter} was at {v}
s the last reading of the {meter} was {v}
s please report {v} for the {meter}
q what does the {meter} show
q what number is on the {meter}
q what does the {meter} say
q what did I read off the {meter}
q where does the {meter} stand
q what value did I note for the {meter}
q what was the last reading of the {meter}
n the number on the {meter}
n the value of the {meter}
n the latest reading of the {meter}
e what the {meter} shows
e what the {meter} says

+ bins
thing = garden waste | glass collection | street sweeper | laundry service | bread delivery |
  piano tuner | bulky waste~big rubbish
s the {thing} always comes on {v}
s yes, {v} is the day for the {thing}
s on {v} we have the {thing}
s the {thing} happens every {v}
s every {v} it is time for the {thing}
s the weekly turn of the {thing} is {v}
s don't forget the {thing} on {v}
s we changed the day for the {thing} to {v}
q what day is the {thing}
q when is the {thing}
q on which day of the week is the {thing}
q which weekday is for the {thing}
q which day of the week is it for the {thing}
q when is it time for the {thing}
q what day of the week should I remember for the {thing}
n the weekday for the {thing}
n the day of the week for the {thing}
e what day is for the {thing}
e on which day the {thing} is

+ project_name
what = podcast | bakery | dog shelter | computer game | cafe I am opening | farm | thesis project |
  sailing club | book series | school newspaper | theatre group
s I decided to call the {what} {v}
s we are calling the {what} {v}
s the {what} goes by {v}
s it so happens that {v} is the name of my {what}
s in fact {v} is what we called the {what}
s the {what} finally has a name, {v}
s the name we picked for the {what} is {v}
s my {what} runs under the name {v}
s after a long debate the {what} got the name {v}
s I am working on my {what}, {v}
q what did we name the {what}
q what did I call the {what}
q what is the {what} called
q what name did we pick for the {what}
q what name does my {what} have
q under which name does my {what} run
q what does my {what} go by
q how did we call the {what}
q what did I decide to call my {what}
n the name we picked for the {what}
n the name of the {what} of mine
n what my {what} is called
e what I named my {what}
e which name I chose for my {what}
e what name my {what} has

+ measure
what = height of the ceiling | length of the rope | width of the bed | depth of the pool |
  length of the garden | width of the corridor | height of the tree | length of the boat |
  distance between the posts
s the {what} comes to {v}
s the tape measure says {v} for the {what}
s the {what} turned out to be {v}
s I wrote down {v} as the {what}
s actually {v} is the {what}
s the {what} should be {v}
s as for the {what}, we measured {v}
s the {what} is exactly {v}
q what was the {what}
q what does the tape measure say about the {what}
q how much is the {what}
q what value did I write down as the {what}
q what is the exact {what}
q what was the result when I measured the {what}
n the exact {what}
n the measured {what}
e what the {what} was
e what I measured for the {what}

+ distance
to = to the station | to the border | to the hospital | to my parents | to the waterfall |
  to school | to the sea
s yes, {v} is the distance {to}
s it takes a walk of {v} to go {to}
s we are {v} from it if you go {to}
s the road {to} is {v} long
s you have to cover {v} {to}
s the sign says it is {v} {to}
s the route {to} measures {v}
s from here {to} it is {v}
q how far do I have to go {to}
q what is the length of the way {to}
q how long is the road {to}
q how long is the route {to}
q how far away am I on the way {to}
q what does the sign say about the distance {to}
q how many miles or kilometres is it {to}
n the length of the way {to}
n the length of the route {to}
n how far it is {to}
e what the distance {to} is
e how long the way {to} is

+ count
what = pages in the notebook | trees in the orchard | windows in the house | sheep on the farm |
  members of the club | eggs in the basket | lamps in the corridor | students in the course | fish
  in the pond | songs on the playlist
s we have {v} {what}
s I counted {v} {what}
s in total there are {v} {what}
s there are exactly {v} {what}
s it turned out that there are {v} {what}
s all in all I got to {v} {what}
s it so happens that {v} is the number of {what}
s as for the {what}, there are {v}
s I came up with {v} when I counted the {what}
q how many {what} did I count
q how many {what} do we have
q what is the count of {what}
q what was the total of {what}
q how many {what} did I say there are
q what number of {what} did I get
q how many are the {what}
n the count of {what}
n the total number of {what}
n how many {what} there are
e how many {what} I counted
e what the number of {what} is

+ bought_in
what = tent | sewing machine | sofa | wedding ring | motorbike | land by the river | boat trailer
s I got the {what} back in {v}
s it was {v} when I bought the {what}
s I have owned the {what} since {v}
s the {what} became mine in {v}
s the receipt for the {what} is from {v}
s in fact {v} was the year I bought the {what}
s I purchased the {what} in {v}
s the {what} has been in the family since {v}
q what year did I buy the {what}
q in what year did the {what} become mine
q since when have I owned the {what}
q in which year did I get the {what}
q when did I purchase the {what}
q since what year do I have the {what}
q from which year is the receipt for the {what}
n the year of purchase of the {what}
n the year I got the {what}
e in which year I bought the {what}
e when I got the {what}
e since when I have owned the {what}

+ came_from
what = lamp | wine | cheese | sword | blanket | mask | knife | carpet | chocolate | old map
s the {what} was brought from {v}
s the origin of the {what} is {v}
s we brought the {what} home from {v}
s the {what} is originally from {v}
s someone carried the {what} all the way from {v}
s the country of origin of the {what} is {v}
s it was in {v} that the {what} was made
s the {what} was shipped here from {v}
q where is the {what} from
q where was the {what} made
q what country does the {what} come from
q what is the country of origin of the {what}
q in which country was the {what} made
q which country did we bring the {what} from
q where did the {what} originally come from
n the origin of the {what}
n the country where the {what} was made
n the country of origin of the {what}
e where the {what} was made
e which country the {what} is from
"""
