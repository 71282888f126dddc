"""Schemas about work, software, addresses and what customers want."""

SCHEMAS = """
# api endpoint none
what = orders service | login service | invoice export | weather feed | image upload | health
  check | search service | payment callback
s the endpoint of the {what} is {v}
s the {what} lives at {v}
s requests for the {what} go to {v}
s to call the {what} use {v}
s the path of the {what} is {v}
s the {what} listens on {v}
s we exposed the {what} as {v}
s the docs give {v} for the {what}
a The endpoint of the {what} is {v}.
q what is the endpoint of the {what}
q which path does the {what} have
q where do requests for the {what} go
q how do I call the {what}
q what do the docs give for the {what}
q which route does the {what} listen on
q where does the {what} live
q under which path is the {what} exposed
n the endpoint of the {what}
n the path of the {what}
n the route of the {what}
n the address to call the {what}
e what the endpoint of the {what} is
e where requests for the {what} go
e how to call the {what}

# host_name host none
what = production database | mail gateway | file share | wiki | monitoring dashboard | VPN |
  ticket system | licence manager | message queue
s the host of the {what} is {v}
s the {what} runs on {v}
s the {what} is on the machine {v}
s to reach the {what}, connect to {v}
s we moved the {what} to {v}
s the address of the {what} is {v}
s you find the {what} under {v}
s the {what} was set up on {v}
a The {what} runs on {v}.
q what is the host of the {what}
q where does the {what} run
q which machine is the {what} on
q what do I connect to for the {what}
q where did we move the {what}
q what is the address of the {what}
q under which host name do I find the {what}
q on which computer was the {what} set up
n the host of the {what}
n the address of the {what}
n the machine of the {what}
n the host name of the {what}
e where the {what} runs
e what the host of the {what} is
e which machine the {what} is on

# deploy_branch git_branch none
what = staging site | nightly build | demo for the client | mobile app | billing service | docs
  site | customer pilot
s the {what} is deployed from {v}
s we deploy the {what} from {v}
s the branch of the {what} is {v}
s the code of the {what} is on {v}
s for the {what}, check out {v}
s the {what} tracks {v}
s the {what} is built from {v}
s please push changes for the {what} to {v}
q which branch is the {what} deployed from
q what is the branch of the {what}
q where is the code of the {what}
q what do I check out for the {what}
q which branch does the {what} track
q what is the {what} built from
q where do I push changes for the {what}
q from which branch do we ship the {what}
n the branch of the {what}
n the branch the {what} is deployed from
n the branch for the {what}
n the deploy branch of the {what}
e which branch the {what} is deployed from
e what to check out for the {what}
e where the code of the {what} is

# bug_ticket ticket none
what = login bug | memory leak | broken invoice~wrong invoice | crash on start | complaint about
  the lift | missing parcel | water damage | slow search | warranty case | blocked account
s the ticket for the {what} is {v}
s the {what} is tracked as {v}
s the number of the case about the {what} is {v}
s the {what} was filed under {v}
s I opened {v} for the {what}
s please quote {v} when you write about the {what}
s support registered the {what} as {v}
s in the tracker the {what} is {v}
a I have filed the {what} under {v}.
q what is the ticket for the {what}
q which number does the {what} have in the tracker
q under which number was the {what} filed
q what is the case number of the {what}
q what do I quote when I write about the {what}
q as what is the {what} tracked
q what ticket did I open for the {what}
q how did support register the {what}
n the ticket for the {what}
n the ticket number of the {what}
n the case number of the {what}
n the number of the {what} in the tracker
e what the ticket for the {what} is
e under which number the {what} was filed
e how the {what} is tracked

# release version_name none
what = router software | web framework | game engine | camera driver | payroll program |
  spreadsheet plugin | music player | kernel on the laptop | phone system
s the {what} is at {v}
s we run {v} of the {what}
s the current release of the {what} is {v}
s the {what} was upgraded to {v}
s I installed {v} of the {what}
s the {what} in use is {v}
s the latest stable {what} is {v}
s we are stuck on {v} of the {what}
q which version of the {what} do we run
q what is the current release of the {what}
q to what was the {what} upgraded
q which release of the {what} did I install
q what version is the {what}
q which {what} version is in use
q what are we running as the {what}
q which build of the {what} do we have
n the version of the {what}
n the release of the {what} in use
n the current {what} version
n the installed version of the {what}
e which version of the {what} we run
e what release the {what} is at
e what the {what} was upgraded to

# role_of role person
s {S} [work|works] as {v} now
s {P} position is {v}
s {P} job title is {v}
s {S} was promoted to {v}
s in the company {S} [am|is] {v}
s the card on the door says that {S} [am|is] {v}
s {S} got hired as {v}
s on the team, {P} role is {v}
q what is {P} position
q what is {P} job title
q which role {do} {S} have on the team
q to what was {S} promoted
q what {be} {S} in the company
q as what was {S} hired
q what does the card on the door say about {P} role
q what position {do} {S} hold
n {P} position
n {P} job title
n {P} role on the team
n the position {S} [hold|holds]
e what {P} job title is
e what {P} position is
e which role {S} [have|has]

# customer_wish wish none
who = the hotel chain | the bakery client | the school board | the museum | the oldest customer |
  the dentist's practice | the taxi firm | the new tenant | the reading group | the theatre
  company
s {who} would like {v}
s {who} asked for {v}
s {who} wants {v}
s the wish of {who} is {v}
s {who} keeps asking for {v}
s the most important thing for {who} is {v}
s we promised {who} {v}
s the request of {who} was {v}
q what would {who} like
q what did {who} ask for
q what does {who} want
q what is the wish of {who}
q what did we promise {who}
q what is most important for {who}
q what was the request of {who}
q which improvement matters to {who}
n the wish of {who}
n the request of {who}
n what {who} wants
n the thing we promised {who}
e what {who} wants
e what {who} asked for
e what we promised {who}

# meeting_in meeting_room none
what = kick-off | budget round | interview with the intern | training on Monday | steering
  committee | first aid course | town hall meeting | retrospective | lunch talk
s the {what} is in {v}
s the {what} takes place in {v}
s we meet in {v} for the {what}
s I booked {v} for the {what}
s the {what} has been moved to {v}
s please come to {v} for the {what}
s the place of the {what} is {v}
s they reserved {v} for the {what}
a The {what} is in {v}.
q where is the {what}
q which room is the {what} in
q where do we meet for the {what}
q which room did I book for the {what}
q where has the {what} been moved
q where should I go for the {what}
q where does the {what} take place
q what did they reserve for the {what}
n the room of the {what}
n the place of the {what}
n the room for the {what}
n the location of the {what}
e where the {what} is
e which room the {what} is in
e where we meet for the {what}

# contact_mail email none
who = the warehouse | the press office | the translator | the recruiter | the printing shop | the
  exam board | the travel agency | the beekeeper | the embassy
s the e-mail address of {who} is {v}
s you can write to {who} at {v}
s mail for {who} goes to {v}
s {who} can be reached at {v}
s {who} answers under {v}
s send the form for {who} to {v}
s {who} uses the e-mail {v}
s I got {v} as the contact of {who}
q what is the e-mail address of {who}
q where can I write to {who}
q where does mail for {who} go
q at which e-mail can {who} be reached
q where do I send the form for {who}
q which e-mail does {who} use
q how do I contact {who} by mail
q what did I get as the contact of {who}
n the e-mail address of {who}
n the e-mail of {who}
n the mail contact of {who}
n the address for mail to {who}
e where to write to {who}
e what the e-mail address of {who} is
e how to reach {who} by e-mail

# link url none
what = survey | video call | shared album | job advert | ticket sale | petition | course material
  | live stream | crowdfunding page | registration form | menu of the canteen
s the link to the {what} is {v}
s you find the {what} at {v}
s the {what} is online at {v}
s the address of the {what} is {v}
s to see the {what}, go to {v}
s the {what} was put on {v}
s open {v} for the {what}
s the page of the {what} is {v}
a You find the {what} at {v}.
q what is the link to the {what}
q where do I find the {what} online
q at which address is the {what}
q what do I open for the {what}
q where was the {what} put
q which page is the {what} on
q where can I see the {what}
q which website has the {what}
n the link to the {what}
n the web address of the {what}
n the page of the {what}
n the URL of the {what}
e where the {what} is online
e what the link to the {what} is
e which page to open for the {what}

# located_at postal none
what = notary's office | second-hand shop | cat shelter | storage space | dance studio | polling
  station | tile shop | summer school | repair shop for bikes | doctor on call
s the {what} is at {v}
s the address of the {what} is {v}
s you find the {what} at {v}
s the {what} moved to {v}
s we have to go to {v} for the {what}
s letters to the {what} go to {v}
s the {what} is located at {v}
s the taxi to the {what} should go to {v}
a The address of the {what} is {v}.
q where is the {what}
q what is the address of the {what}
q at which address is the {what}
q where do I find the {what}
q where did the {what} move
q where should the taxi to the {what} go
q where do letters to the {what} go
q in which street is the {what}
n the address of the {what}
n the location of the {what}
n the street address of the {what}
n the place where the {what} is
e where the {what} is
e what the address of the {what} is
e where the {what} is located

# reason cause none
what = delay of the train | late start of the concert | cancelled lesson | closed museum | cold
  flat | missing order | failed demo | long queue | power cut | early end of the party
s the reason for the {what} was that {v}
s the {what} happened because {v}
s they explained the {what} by saying that {v}
s it came to the {what} since {v}
s behind the {what} was that {v}
s the excuse for the {what} was that {v}
s people say {v} and so it came to the {what}
s the cause of the {what}: {v}
q what was the reason for the {what}
q why did it come to the {what}
q what caused the {what}
q how did they explain the {what}
q what was behind the {what}
q what was the excuse for the {what}
q what led to the {what}
q what was the cause of the {what}
n the reason for the {what}
n the cause of the {what}
n the explanation for the {what}
n the excuse for the {what}
e what caused the {what}
e why it came to the {what}
e what the reason for the {what} was

# share_of percentage none
what = turnout at the election | battery level | discount for members | interest rate on the loan
  | humidity in the cellar | share of women in the course | growth in sales | score in the survey
s the {what} is {v}
s the {what} was {v} last time
s they put the {what} at {v}
s I read {v} as the {what}
s the {what} rose to {v}
s the {what} fell to {v}
s the report gives the {what} as {v}
s we measured {v} as the {what}
q what is the {what}
q how high is the {what}
q what did they put the {what} at
q what does the report give as the {what}
q where did the {what} end up
q what did I read as the {what}
q how much is the {what}
q what figure do we have for the {what}
n the {what}
n the figure for the {what}
n the reported {what}
n the value of the {what}
e how high the {what} is
e what the {what} is
e what the report gives as the {what}
"""
