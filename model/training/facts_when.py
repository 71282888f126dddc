"""Schemas of what happened, or will, and when: asked for by the time alone."""

SCHEMAS = """
# when_repair moment none
what = boiler | roof | garage door | lift | dishwasher | heating | garden fence | doorbell | oven |
  water pipe | satellite dish | chimney
s they came to repair the {what} on {v}
s the {what} was repaired on {v}
s the {what} got fixed on {v}
s on {v} someone fixed the {what}
a The {what} was repaired on {v}.
q when was the {what} repaired
q when did the {what} get fixed
q when did they come to repair the {what}
q when did someone fix the {what}
q on which day and at what time was the {what} repaired
e when the {what} was repaired
e when they came for the {what}
e when the {what} got fixed

# when_call clock none
who = the bank | the school | the landlord | the garage | the hospital | the insurance | the tax
  office | the tailor | the travel agency | the museum | the police | the vet
s {who} called at {v}
s I got a call from {who} at {v}
s at {v} {who} phoned
s it was {v} when {who} rang
q when did {who} call
q what time did {who} call
q at what time did I get a call from {who}
q when did the call from {who} come
q what time was it when {who} rang
e when {who} called
e at what time {who} phoned
e what time it was when {who} rang

# when_broke date none
what = dryer | lawn mower | printer | blender | freezer | tablet | radio | hair dryer | projector |
  router | coffee machine | scooter
s the {what} broke down on {v}
s the {what} stopped working on {v}
s on {v} the {what} gave up
s since {v} the {what} has been broken
q when did the {what} break down
q when did the {what} stop working
q since when has the {what} been broken
q on what date did the {what} give up
q when did the {what} stop running
e when the {what} broke down
e since when the {what} has been broken
e when the {what} gave up

# when_parcel moment none
what = parcel with the lamp | box of books | new mattress | order from the pharmacy | bike trailer |
  roll of carpet | bag of seeds | office chair | birthday present | box of spare parts
s the {what} arrived on {v}
s they delivered the {what} on {v}
s on {v} the {what} came
s the {what} was handed over on {v}
a The {what} arrived on {v}.
q when did the {what} arrive
q when did they deliver the {what}
q when did the {what} come
q when was the {what} handed over
q what time and day did the {what} get here
e when the {what} arrived
e when they delivered the {what}
e when the {what} came

# when_planted date none
what = tomatoes | pear tree | hedge | tulip bulbs | potatoes | vines | lavender bushes | pumpkins |
  strawberries | sunflowers
s I planted the {what} on {v}
s the {what} went into the ground on {v}
s on {v} we put in the {what}
s it was on {v} that I planted the {what}
q when did I plant the {what}
q when did the {what} go into the ground
q when did we put in the {what}
q on what date did I plant the {what}
e when I planted the {what}
e when the {what} went into the ground
e on which day we put in the {what}

# when_visit moment none
who = the plumber | the inspector | the estate agent | the chimney sweep | the carpenter |
  the florist
  | the photographer | the piano mover | the nurse | the meter reader | the surveyor
s {who} is coming on {v}
s {who} will be here on {v}
s on {v} we expect {who}
s the visit of {who} is fixed for {v}
a I have noted that {who} is coming on {v}.
q when is {who} coming
q when will {who} be here
q when do we expect {who}
q for when is the visit of {who} fixed
q what day and time is {who} coming
e when {who} is coming
e when we expect {who}
e when {who} will be here

# when_signed date none
what = lease | purchase contract | petition | will | power of attorney | loan agreement |
  membership form | peace pledge | employment contract | waiver
s I signed the {what} on {v}
s the {what} was signed on {v}
s on {v} I put my name under the {what}
s my signature on the {what} is from {v}
q when did I sign the {what}
q when was the {what} signed
q on what date did I sign the {what}
q when did I put my name under the {what}
e when I signed the {what}
e when the {what} was signed
e on which date I put my name under the {what}

# when_founded year none
what = bakery museum | sailing school | fire brigade | brass band | brewery | public library |
  cheese factory | observatory | glass works | tram line | savings bank | mountain hut
s the {what} was founded in {v}
s the {what} was set up in {v}
s in {v} they founded the {what}
s the {what} dates back to {v}
a The {what} was founded in {v}.
q when was the {what} founded
q when was the {what} set up
q when did they found the {what}
q in which year was the {what} founded
q what year does the {what} date back to
e when the {what} was founded
e in which year the {what} was set up
e when they founded the {what}

# when_happened year none
what = great flood | storm that took the roof | fire at the mill | long winter | train robbery |
  earthquake | big strike | landslide | visit of the queen | explosion at the harbour
s the {what} was in {v}
s the {what} happened in {v}
s it was in {v} that we had the {what}
s people say the {what} was in {v}
q when was the {what}
q when did the {what} happen
q in which year was the {what}
q what year did we have the {what}
q when did we have the {what}
e when the {what} was
e in which year the {what} happened
e when we had the {what}

# when_starts clock none
what = sunrise hike | fish market | night market | morning show | bell ringing | quiet hour |
  happy hour | guided tour | late shift | storytelling | fireworks show | rowing practice
s the {what} begins at {v}
s the {what} is from {v} on
s at {v} the {what} gets going
s be there for the {what} at {v}
a The {what} begins at {v}.
q when does the {what} begin
q what time does the {what} begin
q when does the {what} get going
q at what time should I be there for the {what}
q from when on is the {what}
e when the {what} begins
e what time the {what} gets going
e at what time the {what} is

# when_test moment none
what = oral exam | maths test | fitness test | swimming badge | audition | spelling test |
  swim test |
  sommelier exam | radio licence exam | hunting exam
s the {what} is going to be on {v}
s they fixed the {what} for {v}
s on {v} I have to sit the {what}
s I am down for the {what} on {v}
q when is the {what}
q when do I have to sit the {what}
q for when did they fix the {what}
q when am I down for the {what}
q what day and time is the {what}
e when the {what} is
e when I have to sit the {what}
e for when they fixed the {what}

# when_last date me person
what = donate blood | change the oil | back up the laptop | clean the gutters | visit the dentist |
  defrost the freezer | see the doctor | replace the smoke alarm | wash the curtains |
  descale the kettle
s the last time {S} had to {what} was {v}
s apparently {v} was the last time {S} got around to it: to {what}
s {P} last time to {what} was {v}
s it was on {v} that {S} last managed to {what}
q when did {S} last {what}
q when was the last time {S} managed to {what}
q on what date did {S} last {what}
q when was the last time for {O} to {what}
e when {S} last managed to {what}
e when it was that {S} had to {what}

# when_trip date me person
where = the seaside | the mountains | the north | the island | the capital | the desert |
  the lakes |
  the old country | the conference | the vineyards
s {S} left for {where} on {v}
s {S} set off for {where} on {v}
s on {v} {S} went to {where}
s {P} trip to {where} started on {v}
q when did {S} leave for {where}
q when did {S} set off for {where}
q when did {S} go to {where}
q when did {P} trip to {where} start
q on what date did {S} leave for {where}
e when {S} left for {where}
e when {S} set off for {where}
e on which day {P} trip to {where} started

# when_seen moment none
what = comet | red kite | shooting star | grey seal | stranger with the hat | white stag | hot air
  balloon | runaway pony | double rainbow | barn owl
s we saw the {what} on {v}
s the {what} was seen on {v}
s on {v} we spotted the {what}
s it was on {v} that I saw the {what}
q when did we see the {what}
q when was the {what} seen
q when did we spot the {what}
q what day and time did I see the {what}
e when we saw the {what}
e when the {what} was seen
e when we spotted the {what}
"""
