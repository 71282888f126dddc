"""More wordings for the schemas about favourites, habits and dreams."""

SCHEMAS = """
+ favourite_city
s {S} fell in love with {v}, no other city compares
s the most beautiful city to {O} is {v}
s {S} could walk around {v} forever, no city is better
s of all cities {S} [like|likes] {v} best
s in fact {v} is the city {S} [love|loves] most
s {S} [think|thinks] {v} is the best city in the world
s no city can match {v} [in my eyes|in the eyes of {S}]
s the city closest to {P} heart is {v}
q what city {do} {S} love most
q which city {do} {S} like best
q which city is closest to {P} heart
q what is the best city in the world [in my eyes|in the eyes of {S}]
q which town {do} {S} like more than all others
q what city did {S} fall in love with
q which city {do} {S} find most beautiful
n the city {S} [like|likes] best
n the city closest to {P} heart
e which city {S} [love|loves] most
e what city {S} [like|likes] best

+ favourite_season
s {S} [look|looks] forward to {v} all year
s {S} [love|loves] {v} more than the rest of the year
s no time of the year is better than {v} [to me|to {S}]
s the best time of the year for {O} is {v}
s {S} {be} happiest in the time of {v}
s {P} favourite part of the year is {v}
s {S} always [wait|waits] for {v}, the best time of the year
q which part of the year {do} {S} like most
q what is {P} favourite part of the year
q when in the year {be} {S} happiest
q which time of the year {do} {S} look forward to
q what season {do} {S} love most
q what is the best time of the year for {O}
q what is {P} favourite season
n {P} favourite season
n {P} favourite part of the year
n the time of the year {S} [like|likes] best
e what {P} favourite time of the year is
e what season {S} [love|loves] most

+ favourite_place
kind = bakery | library | cinema | gym | beach | club | theatre | ice cream parlour | campsite
s {S} {be} a regular at {v}, the {kind}
s no {kind} is as good as {v} [in my opinion|according to {S}]
s {P} go-to {kind} is {v}
s when [I want|{S} wants] a nice {kind}, the choice is {v}
s actually {v} is the {kind} {S} [love|loves] most
s {S} would pick {v} over any other {kind}
s of every {kind} in town {S} [prefer|prefers] {v}
s you can find {O} at {v} most days, that {kind} is the best
s {S} [keep|keeps] going back to {v}, a {kind}
q what {kind} {do} {S} like best
q which {kind} {be} {S} a regular at
q what {kind} {do} {S} go to
q which {kind} {do} {S} love most
q what is {P} go-to {kind}
q which {kind} would {S} recommend
q what {kind} {do} {S} prefer
q which {kind} {do} {S} often go to
n {P} go-to {kind}
n the {kind} {S} [like|likes] best
e which {kind} {S} often [go|goes] to
e what {P} go-to {kind} is

+ favourite_person
kind = director | tennis player | philosopher | scientist | dancer | drummer | politician |
  photographer | cyclist | rapper | pianist | designer
s {S} [admire|admires] the {kind} {v}
s no {kind} is better than {v} [in my opinion|according to {S}]
s {S} [have|has] a poster of the {kind} {v} on the wall
s {P} idol is the {kind} {v}
s the {kind} {S} [like|likes] best is {v}
s {S} would love to meet the {kind} {v}
s {S} [think|thinks] the best {kind} of all time is {v}
s {S} [follow|follows] everything the {kind} {v} does
s as a {kind}, {v} is {P} hero
q which {kind} {do} {S} like best
q who is the best {kind} [in my opinion|according to {S}]
q which {kind} {be} {S} a fan of
q what {kind} {do} {S} admire
q which {kind} would {S} love to meet
q what is the name of {P} favourite {kind}
q which {kind} is {P} idol
q who {do} {S} think is the best {kind}
n the {kind} {S} [admire|admires]
n the name of {P} favourite {kind}
e which {kind} {S} {be} a fan of
e which {kind} {S} [like|likes] best

+ team
s {S} [root|roots] for {v}
s {S} [cheer|cheers] for the team {v}
s {S} never [miss|misses] a match of {v}
s {P} team is {v}
s the club {S} [follow|follows] is {v}
s {S} [have|has] a season ticket for {v}
s {P} heart beats for the team {v}
s {S} [wear|wears] the scarf of {v} on match days
s the team {S} [support|supports] is {v}
q what team {do} {S} root for
q which club {do} {S} follow
q whose matches {do} {S} never miss
q what team {be} {S} a fan of
q who {do} {S} cheer for
q what is {P} team
q which team {do} {S} root for
q which club {be} {S} a supporter of
n {P} team
n the club {S} [follow|follows]
n the team {S} [root|roots] for
e what team {S} [support|supports]
e who {S} [root|roots] for
e what {P} favourite team is

+ collects
s {S} [have|has] boxes full of {v} because of the collection
s {S} [hunt|hunts] for {v} at flea markets for the collection
s {P} collection is made up of {v}
s over the years {S} [have|has] gathered lots of {v}
s what {S} [collect|collects] are {v}
s {P} whole flat is full of {v}, it is a collection
s {S} started collecting {v} as a child
s {S} {be} a collector of {v}
s yes, {v} are what {S} [collect|collects]
q what {be} {S} a collector of
q what does {P} collection consist of
q what kind of things {do} {S} collect
q what is in {P} collection
q what {do} {S} hunt for at flea markets
q what did {S} start collecting
q which items {do} {S} gather
q what {do} {S} have a collection of
n {P} collection
n the objects {S} [collect|collects]
e what is in {P} collection
e what kind of things {S} [collect|collects]
e what {S} {be} a collector of

+ afraid_of
s {S} [get|gets] scared by {v}
s {S} {be} terrified of {v}
s what scares {O} to death is {v}
s what {S} [fear|fears] most is {v}
s {P} phobia is {v}
s ever since childhood {S} [fear|fears] {v}
s {S} {have} a terrible fear of {v}
s {S} [panic|panics] because of {v}
s {S} [have|has] nightmares about {v}
s you won't believe it, but {S} {be} frightened of {v}
q what {do} {S} fear most
q what {be} {S} terrified of
q what scares {O}
q what frightens {O} most
q what is {P} phobia
q what makes {O} panic
q what gives {O} nightmares
q what {be} {S} frightened of
q which phobia {do} {S} have
n {P} phobia
n the thing {S} [fear|fears] most
n the thing that scares {O}
e what scares {O}
e what {P} biggest fear is
e what {S} {be} terrified of

+ lucky_number
s the number that brings {O} luck is {v}
s {S} always [play|plays] {v} in the lottery for luck
s {S} [believe|believes] that {v} brings luck
s {S} [have|has] {v} on the shirt because it brings luck
s it so happens that {v} is {P} lucky number
s {S} [swear|swears] by the lucky number {v}
s for good luck {S} [bet|bets] on {v}
q what number brings {O} luck
q which number {do} {S} pick for luck
q what number {do} {S} play in the lottery
q what number {do} {S} swear by
q which number {do} {S} believe in
q which number is lucky for {O}
q what number {do} {S} bet on
n the number that brings {O} luck
n {P} number for luck
e which number brings {O} luck
e which lucky number {S} [have|has]

+ dream
s when {S} [was|was] little, the plan was to become a {v}
s when asked as a child, {S} said {v}, that was the dream job
s {S} always dreamed of being a {v}
s growing up, {S} wanted to be a {v}
s {P} dream job as a child was that of a {v}
s in kindergarten {S} told everyone about becoming a {v}
s {S} would have loved to become a {v} as a kid
s back then {P} dream was to work as a {v} one day
q what did {S} want to be as a kid
q what {was} {P} dream job as a child
q what did {S} dream of becoming
q which job did {S} dream of as a child
q what did {S} want to be when {S} grew up
q what career did {S} have in mind as a kid
q what did {S} say as a child about a future job
n {P} dream job as a child
n the job {S} dreamed of as a child
e what {P} childhood dream was
e what {S} wanted to be as a kid

+ habit
what = have lunch | take my pills~take my tablets | feed the cat~give the cat its food |
  start work | finish work | read the news | call my parents~phone my parents | go to the gym |
  have coffee | meditate | water the garden | switch off the lights | catch the train
s at {v} I {what}, every day
s I always {what} at {v}
s it is {v} when I {what}
s my alarm rings at {v} so that I {what}
s every day I {what} at {v}
s I tend to {what} around {v}
s in fact {v} is when I {what}
s my routine is to {what} at {v}
s on most days I {what} at {v}
q what time do I {what}
q around what time do I {what}
q when do I usually {what}
q at what hour do I {what}
q what is the usual time when I {what}
q when is it time for me to {what}
q how late is it when I {what}
n my usual time to {what}
n the hour at which I {what}
e at what time I {what}
e what time I usually {what}
"""
