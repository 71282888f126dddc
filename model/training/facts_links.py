"""Schemas that say who somebody is: the first of two facts that a question needs together.

s: tells it; e: asks who, indirectly; n: names the person without the name, and takes 's.
"""

SCHEMAS = """
# link_keeper first none
what = bee | goat | llama | peacock | pigeon | alpaca | sheep dog | rabbit
s apparently {v} is the one with the {what} farm
s as far as I know, {v} runs the {what} farm
s the {what} farm is looked after by {v}
s the {what} keeper up the road is {v}
e who runs the {what} farm
e who has the {what} farm
e who looks after the {what} farm
n the {what} keeper
n the {what} farmer

# link_player fullname none
what = tuba | double bass | bassoon | trombone | oboe | harp | kettledrum | French horn
s I believe that {v} plays the {what} in the town band
s in the town band the {what} is played by {v}
s the town band has {v} on the {what}
s actually {v} is on the {what} in the town band
e who plays the {what} in the town band
e who is on the {what} in the town band
n the town band's {what} player
n the {what} player

# link_office fullname none
post = treasurer | secretary | chairperson | press officer | vice president | archivist |
  webmaster | events manager
club = rowing club | alpine club | chess club | garden society | film society | fencing club |
  choir | history society | skating club | canoe club | judo club | photo club | cycling club |
  reading circle | astronomy club | gliding club | model railway club
s it is true that {v} is the {post} of the {club}
s the {club} has {v} as its {post}
s they elected {v} as the {post} of the {club}
s the new {post} of the {club} is {v}
e who the {post} of the {club} is
e who was elected {post} of the {club}
e who serves as the {post} of the {club}
n the {post} of the {club}
n the {club} {post}

# link_driver first none
what = snow plough | library van | ice cream truck | school minibus | fire engine | street sweeper |
  milk float | tow truck
s I can tell you that {v} drives the {what}
s it so happens that {v} is the driver of the {what}
s the {what} is driven by {v}
s behind the wheel of the {what} you will find {v}
e who drives the {what}
e who sits behind the wheel of the {what}
e who the driver of the {what} is
n the {what} driver
n the driver of the {what}

# link_instructor fullname none
what = calligraphy | Latin | juggling | glass blowing | first aid | bookbinding | archery | tango |
  origami | beekeeping | pottery | braille | chess | knitting | drumming | puppetry | welding |
  sign language | watercolour | soap making
s I think {v} teaches {what} at the evening school
s at the evening school {v} gives the {what} course
s the {what} course at the evening school is taught by {v}
s it seems that {v} is in charge of the {what} course
e who teaches {what} at the evening school
e who gives the {what} course
e who is in charge of the {what} course
n the {what} instructor
n the evening school's {what} instructor

# link_manager fullname none
what = puppet theatre | bird sanctuary | tool library | repair cafe | toy museum | youth hostel |
  animal shelter | climbing hall | botanical garden | planetarium | food bank | clock museum |
  roller rink | record shop | tea house | toy library | boat hire | night shelter
s I hear that {v} runs the {what}
s I know that {v} is the head of the {what}
s the {what} is managed by {v}
s the person in charge of the {what} is {v}
e who runs the {what}
e who is in charge of the {what}
e who manages the {what}
n the head of the {what}
n the {what} manager
n the person in charge of the {what}

# link_organiser first none
what = lantern parade | kite festival | jazz weekend | soapbox race | pumpkin fair | poetry slam |
  winter market | neighbourhood lunch | raft race
s they say that {v} organises the {what}
s apparently {v} is behind the {what} this year
s the {what} is organised by {v}
s the one who plans the {what} is {v}
e who organises the {what}
e who plans the {what}
e who is behind the {what} this year
n the {what} organiser
n the organiser of the {what}

# link_builder fullname none
what = treehouse | wooden bridge | stone oven | boat shed | sundial | windmill | dry stone wall |
  skate ramp
s as far as I know, {v} built the {what}
s the {what} was built by {v}
s it was {v} who built the {what}
s we owe the {what} to {v}
e who built the {what}
e who made the {what}
e by whom the {what} was built
n the {what} builder
n the builder of the {what}

# link_artist fullname none
what = mural at the station | ceiling of the chapel | portrait of the mayor | theatre curtain |
  old harbour sign | carousel | stained window
s I believe that {v} painted the {what}
s the {what} was painted by {v}
s the artist of the {what} is {v}
s it was {v} who painted the {what}
e who painted the {what}
e who the artist of the {what} is
e by whom the {what} was painted
n the artist of the {what}
n the painter of the {what}

# link_author fullname none
what = village chronicle | school anthem | nature guide | speech for the jubilee | crime play |
  hiking column | club rules
s actually {v} wrote the {what}
s the {what} was written by {v}
s the author of the {what} is {v}
s the {what} came from the pen of {v}
e who wrote the {what}
e who the author of the {what} is
e by whom the {what} was written
n the author of the {what}
n the writer of the {what}

# link_finder first none
what = lost parrot | missing suitcase | stolen bicycle | old treasure map | stray kitten |
  lost violin | missing mailbag
s it is true that {v} found the {what}
s the {what} was found by {v}
s it was {v} who found the {what}
s the {what} turned up thanks to {v}
e who found the {what}
e by whom the {what} was found
e thanks to whom the {what} turned up
n the finder of the {what}

# link_coach first none
what = relay team | under-twelve team | curling team | ladies' eight | handball team |
  water polo team
  | judo squad | ski squad
s I can tell you that {v} trains the {what}
s it so happens that {v} is the coach of the {what}
s the {what} is coached by {v}
s the {what} has {v} for a coach
e who trains the {what}
e who the coach of the {what} is
e who coaches the {what}
n the {what} coach
n the coach of the {what}

# link_mentor fullname none
what = coding course | leadership programme | writing workshop | flying school |
  exchange programme |
  apprenticeship | start-up programme
s I think {v} is my mentor in the {what}
s in the {what} I was given {v} as a mentor
s my mentor in the {what} is {v}
s they paired me with {v} as a mentor in the {what}
e who my mentor in the {what} is
e whom I was given as a mentor in the {what}
e who mentors me in the {what}
n my {what} mentor
n my mentor in the {what}

# link_penpal first none
what = Norway | Peru | Japan | Ghana | Canada | Iceland | Chile | Nepal | Malta | Estonia |
  Latvia | Cuba | Kenya | Fiji | Vietnam | Uruguay | Cyprus | Ghent | Samoa | Panama
s it seems that {v} is my pen pal from {what}
s my pen pal in {what} is {v}
s I write letters to {v}, my pen pal from {what}
s I have a pen pal from {what}, and that is {v}
e who my pen pal from {what} is
e who the pen pal I have in {what} is
n my pen pal from {what}
n my pen pal in {what}

# link_partner first none
what = squash | badminton | dance | bridge | climbing | running | sparring | language exchange
s I hear that {v} is my {what} partner
s my partner for {what} is {v}
s for {what} I have {v} as a partner
s they put me with {v} as my {what} partner
e who my {what} partner is
e who my partner for {what} is
e whom I was put with for {what}
n my {what} partner
n my partner for {what}

# link_carrier first none
what = newspaper | mail | egg | flower | firewood | medicine | bread | milk | laundry | soup
s I know that {v} does the {what} round in our street
s the {what} round in our street is done by {v}
s they say that {v} took over the {what} round
s the one with the {what} round is {v}
e who does the {what} round
e who took over the {what} round
e who comes by on the {what} round
n the person on the {what} round
n the one on the {what} round
"""
