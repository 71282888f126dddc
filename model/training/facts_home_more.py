"""More wordings for the schemas about home, codes, accounts and money."""

SCHEMAS = """
+ locker_code
lock = cellar door~basement door | holiday flat | lockbox | briefcase | car park barrier | filing
  cabinet | changing room locker | gun cabinet | pool gate | bike shed
s in fact {v} is the code that opens {P} {lock}
s the {lock} opens if you enter {v}
s {S} [use|uses] {v} to unlock the {lock}
s dial {v} and {P} {lock} will open
s {P} {lock} unlocks with {v}
s the combination of {P} {lock} is {v}
s to get into {P} {lock}, punch in {v}
s the number to key in at {P} {lock} is {v}
s [we|they] reset {P} {lock}, and the new code is {v}
s for {P} {lock}, the digits are {v}
q how do [I|you] open {P} {lock}
q what combination opens {P} {lock}
q what is the combination of {P} {lock}
q which digits do [I|you] type to open {P} {lock}
q what number unlocks {P} {lock}
q what do [I|you] key in at {P} {lock}
q how do [I|you] unlock {P} {lock}
q which number is {P} {lock} set to
q what is the number for {P} {lock}
q what do [I|you] punch in to get into {P} {lock}
n the combination of {P} {lock}
n the number that opens {P} {lock}
n the entry code for {P} {lock}
e how to open {P} {lock}
e what the combination of {P} {lock} is
e what to type to open {P} {lock}

+ wifi
place = at the gym | at the library | in the guest room | at school | at the campsite | upstairs
s actually {v} gets you on the wifi {place}
s to log on to the wifi {place} you need {v}
s the internet {place} is protected with {v}
s the wireless key {place} is {v}
s the router {place} wants the password {v}
s to connect to the network {place}, enter {v}
s the wifi {place} works with {v}
s they changed the wifi password {place} to {v}
s for the internet {place}, type in {v}
a To get online {place}, use the password {v}.
a The network {place} uses the password {v}.
q how do I connect to the internet {place}
q what is the internet password {place}
q what is the wireless key {place}
q what password does the router want {place}
q what do I type in to get online {place}
q which password is used for the wifi {place}
q how can my guests get online {place}
q what is the network key {place}
q how do I log on to the network {place}
n the internet password {place}
n the network key {place}
e how to get online {place}
e which password I need for the wifi {place}

+ account_password
account = cloud storage | music | tax | insurance | travel | newspaper | dating | phone company
s I log in to my {account} account with {v}
s my {account} login uses the password {v}
s yes, {v} unlocks my {account} account
s it so happens that {v} is my password for the {account} account
s to sign in to my {account} account I type {v}
s the {account} account has {v} as its password
s I picked {v} as the password of my {account} account
s my new {account} password is {v}
q what do I type to sign in to my {account} account
q how do I log in to my {account} account
q which password unlocks my {account} account
q what password did I pick for my {account} account
q which password do I use for my {account} account
q what password gets me into my {account} account
q what is the login password of my {account} account
n my login password for the {account} account
n the password of my {account} login
e which password my {account} account has
e what the password for my {account} account is
e how to log in to my {account} account

+ pin
card = debit card | fuel card | work phone | smartwatch | company card | joint account card
s {P} {card} has the PIN {v}
s {S} [use|uses] {v} as the PIN of {P} {card}
s the four digits for {P} {card} are {v}
s for {P} {card} you have to enter {v}
s in fact {v} is the PIN for {P} {card}
s the secret number of {P} {card} is {v}
s {P} {card} unlocks with {v}
s {S} changed the PIN of {P} {card} to {v}
q what is the PIN for {P} {card}
q which four digits belong to {P} {card}
q what is the secret number of {P} {card}
q what do [I|you] enter for {P} {card}
q what PIN does {P} {card} have
q which PIN unlocks {P} {card}
q which PIN did {S} choose for {P} {card}
q what four digits go with {P} {card}
n the PIN for {P} {card}
n the secret number of {P} {card}
n the four digits of {P} {card}
e which PIN {P} {card} has
e what {P} {card} PIN is

+ reference
doc = claim with the airline | warranty case | passport application | rental car booking |
  library request | blood test | ferry booking | online order | tax case | job application
s actually {v} is the reference for my {doc}
s my {doc} runs under {v}
s my {doc} is filed under {v}
s under {v} you will find my {doc}
s the confirmation for my {doc} says {v}
s the email about my {doc} gives the code {v}
s if they ask about my {doc}, quote {v}
s the case number of my {doc} is {v}
s my {doc} was registered as {v}
a For your {doc}, the reference is {v}.
a I found your {doc}, and the number is {v}.
a Please quote {v} when you ask about your {doc}.
q what number was I given for my {doc}
q under which number is my {doc} registered
q which reference should I quote for my {doc}
q what is the code for my {doc}
q what is the case number of my {doc}
q what is the confirmation number of my {doc}
q under what code is my {doc} filed
q which reference did they give me for my {doc}
q what number does my {doc} run under
q what is the ID of my {doc}
n the confirmation number of my {doc}
n the case number of my {doc}
n the number of my {doc}
e which number my {doc} has
e under which number my {doc} is filed
e what the reference for my {doc} is

+ id_number
id = social security card | health card | residence permit | tax file | gym membership | laptop |
  pension plan | press pass | loyalty card | watch
s it says {v} on {P} {id}
s yes, {v} is the number of {P} {id}
s {P} {id} is number {v}
s the number printed on {P} {id} is {v}
s {S} copied {v} from {P} {id}
s {P} {id} carries the number {v}
s the serial number of {P} {id} is {v}
s if they ask for the number of {P} {id}, write {v}
q which number does {P} {id} have
q what number is printed on {P} {id}
q what does it say on {P} {id}
q which number is on {P} {id}
q what is the serial number of {P} {id}
q what should [I|we] write as the number of {P} {id}
q what number does {P} {id} carry
n the number on {P} {id}
n the number printed on {P} {id}
n the serial number of {P} {id}
e which number {P} {id} has
e what number is on {P} {id}

+ phone_extension
s dial {v} to get {O} at work
s at the office {S} can be reached on extension {v}
s {S} [have|has] the extension {v}
s the extension of {P} desk phone is {v}
s it so happens that {v} is {P} extension
s if you call the office, ask for extension {v} to reach {O}
s {P} office phone has the extension {v}
s {P} internal number at work is {v}
q what is {P} internal number at work
q which extension do [you|I] dial to reach {O}
q what extension can {S} be reached on
q how can {S} be reached on the office phone
q what number do [you|I] dial to get {O} at work
q what is the extension of {P} desk phone
q what extension {do} {S} have
n {P} internal number
n {P} office extension
n the extension of {P} desk phone
e what {P} extension at work is
e which extension {S} [have|has]

+ address
s {P} mail goes to {v}
s you can send {P} post to {v}
s {P} new address is {v}
s the address of {P} house is {v}
s {S} can be found at {v}
s the taxi should pick {O} up at {v}, that is the home address
s {S} just moved, and the house is at {v}
s {P} front door is at {v}
s in fact {v} is {P} address
s {S} [have|has] an apartment at {v}
q what is {P} home address
q which street {do} {S} live in
q what is {P} street address
q where should [my|{P}] mail be sent
q what street is {P} house in
q what address {do} {S} live at
q to what address should {P} parcels go
q what is {P} mailing address
q what is the exact address of {P} house
q what house number and street {do} {S} live at
n {P} home address
n {P} street address
n {P} postal address
e what {P} home address is
e which street and number {S} [live|lives] at
e at which address {S} [live|lives]

+ car
s {P} car is a {v}
s {S} [drive|drives] a {v}
s {S} [own|owns] a car, a {v}
s there is a {v} in {P} garage, that is the car
s {S} traded the old car in for a {v}
s the car {S} [have|has] is a {v}
s actually {v} built the car {S} [drive|drives]
s the badge on {P} car says {v}
q what car {do} {S} drive
q what kind of car {do} {S} have
q what make is {P} car
q which car {do} {S} own
q what brand of car {do} {S} drive
q what does the badge on {P} car say
q which company made {P} car
q what type of car did {S} buy
n {P} car brand
n the kind of car {S} [drive|drives]
n the car {S} [drive|drives]
e what car {S} [drive|drives]
e what make {P} car is
e what kind of car {S} [have|has]

+ plate
s {P} car has the registration {v}
s the plate on {P} car reads {v}
s {P} registration number is {v}
s {P} car is registered as {v}
s look for {v} in the car park, that is {P} car
s yes, {v} is on {P} number plate
s {P} license plate is {v}
s on the back of {P} car it says {v}
q what is {P} registration number
q what does {P} number plate say
q what is {P} car registered as
q which plate does {P} car have
q how can [you|I] recognise {P} car by its plate
q what is the registration of {P} car
q what letters and numbers are on {P} car
n {P} licence plate
n the registration of {P} car
n {P} license plate number
e what {P} number plate says
e what the number plate of {P} car is
"""
