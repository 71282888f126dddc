"""More wordings for the schemas about where people live, what they do and their bodies."""

SCHEMAS = """
+ home_city
s {S} settled in {v}
s {S} moved to {v} a few years ago and {be} still there
s home for {O} is {v}
s in fact {v} is where {S} [live|lives]
s actually {v} is {P} home now
s the city {S} [call|calls] home is {v}
s {S} [rent|rents] a flat in {v}
s it is in {v} that {S} [live|lives]
s {S} [am|is] a resident of {v}
s {P} place is in {v}
s {S} [live|lives] over in {v} now
s {S} ended up living in {v}
q what city {do} {S} live in
q what city {be} {S} based in
q in what town {do} {S} live
q which town {do} {S} call home
q where is {P} home
q where {be} {S} living
q what place {do} {S} call home
q where in the world {do} {S} live
q in which city is {P} home
q which city {be} {S} a resident of
q where did {S} settle
n {P} city
n {P} city of residence
n the town {S} [live|lives] in
e in which city {S} [live|lives]
e where {S} {be} based
e where {P} home is

+ grew_up
s {S} [was|was] raised in {v}
s {P} hometown is {v}
s {S} [am|is] originally from {v}
s as a kid {S} lived in {v}
s yes, {v} is where {S} grew up
s it was in {v} that {S} grew up
s {P} family lived in {v} when {S} [was|was] little
s {S} went to school in {v} as a child
s {P} roots are in {v}
s the place {S} grew up in is {v}
q where {be} {S} originally from
q what is {P} hometown
q where {was} {S} raised
q what city did {S} grow up in
q where did {S} live as a child
q where {do} {S} come from originally
q in which city did {S} spend {P} early years
q where are {P} roots
q what town {was} {S} raised in
n {P} hometown
n the town {S} grew up in
n the town of {P} childhood
e where {S} spent {P} childhood
e where {S} {be} originally from
e which town {S} grew up in

+ job
s {S} {be} a {v}
s {P} profession is {v}
s {S} trained as a {v}
s {S} got hired as a {v}
s by profession {S} {be} a {v}
s for a living {S} [work|works] as a {v}
s {S} [make my|makes a] living as a {v}
s being a {v} is what [pays my bills|pays the bills of {S}]
s {S} [have|has] worked as a {v} for ten years
s on weekdays {S} [work|works] as a {v}
s {P} career is that of a {v}
s it says {v} on {P} business card
q what {do} {S} work as for a living
q what is {P} occupation
q what kind of work {do} {S} do
q what line of work {be} {S} in
q how {do} {S} earn [my|a] living
q what {be} {S} by trade
q what is {P} line of work
q what sort of job {do} {S} have
q what {be} {S} by profession
q how {do} {S} make [my|a] living
q what {do} {S} do professionally
n {P} occupation
n {P} line of work
n the work {S} [do|does]
e what {P} profession is
e what {S} [work|works] as
e how {S} [earn my|earns a] living

+ employer
s {S} {be} employed by {v}
s {S} {be} employed at {v}
s it so happens that {v} is the company {S} [work|works] for
s the firm {S} [work|works] for is {v}
s {S} started at {v} last year
s {P} paycheck comes from {v}
s {S} got a job at {v}
s {S} joined {v} recently
s {S} [am|is] on the staff of {v}
s it is {v} that [pays me|pays {S}] every month
s {P} company is {v}
s {S} [have|has] an office at {v}, where {S} [work|works]
q what company {do} {S} work for
q at which company {do} {S} work
q who {do} {S} work for
q where {be} {S} employed
q which firm {be} {S} with
q who pays {P} salary
q which company hired {O}
q what is the name of the company {S} [work|works] for
q what firm employs {O}
q for whom {do} {S} work
n {P} company
n the firm {S} [work|works] for
n the name of {P} employer
e where {S} {be} employed
e who {S} [work|works] for
e where {S} [work|works]

+ studies
s {S} [major|majors] in {v}
s {P} major is {v}
s at university {S} [read|reads] {v}
s {S} {be} a student of {v}
s {S} enrolled in {v} last autumn
s the subject {S} chose at university is {v}
s {S} [go|goes] to lectures on {v}
s {P} university course is {v}
s in fact {v} is what {S} [study|studies]
s {S} [want|wants] to get a degree in {v}
q what {be} {S} majoring in
q what is {P} major
q which degree {be} {S} doing
q what {be} {S} a student of
q which course did {S} enrol in
q what is the subject of {P} studies
q in which field {be} {S} getting a degree
q what did {S} choose as a subject at university
q which subject {do} {S} study
n {P} major
n {P} field of study
n the degree {S} {be} doing
e what {P} major is
e what subject {S} [study|studies]
e what {S} {be} majoring in

+ age
s {S} {be} {v}
s {S} turned {v} this year
s {S} {be} {v} years of age
s {S} celebrated {P} birthday and {be} {v} now
s {S} reached the age of {v}
s at {v}, {S} still [feel|feels] young
s there were {v} candles on {P} cake this year
s {S} [am|is] aged {v}
s in years, {S} [count|counts] {v}
s {S} can't believe it, but {S} {be} {v} already
q what age {be} {S}
q how many years old {be} {S}
q how many candles were on {P} cake
q how old did {S} turn
q what age did {S} reach
q how old {be} {S} now
q how many years {do} {S} count
n {P} current age
n the number of years {S} [have|has] lived
e what age {S} {be}
e what {P} age is
e how many years old {S} {be}

+ medicine
s {S} {be} on {v}
s {S} {be} being treated with {v}
s {S} [swallow|swallows] some {v} with breakfast
s {S} [have|has] a prescription for {v}
s the doctor prescribed {v} for {O}
s the pills {S} [take|takes] are {v}
s {S} got put on {v} last month
s {P} medication is {v}
s {P} daily medicine is {v}
s actually {v} is what the doctor gave {O}
s {S} must not forget to take {v}
q what medicine {do} {S} take
q which medication {do} {S} take
q what did the doctor prescribe for {O}
q what pills {do} {S} take
q which drug {be} {S} on
q what is {P} medication
q what {be} {S} being treated with
q what is {P} prescription for
q what did the doctor put {O} on
q what {do} {S} have to take every day
n {P} medication
n {P} prescription
n the drug {S} {be} on
e what medication {S} {be} on
e what the doctor prescribed for {O}
e which pills {S} [take|takes]

+ shoe_size
size = collar size
s {S} [need|needs] {v} as a {size}
s when [I buy|{S} buys] clothes, the {size} has to be {v}
s they measured {P} {size}, it is {v}
s in the shop they found that {P} {size} is {v}
s yes, {v} is {P} {size}
s {S} [have|has] {v} as a {size}
s {P} {size} went up to {v}
s order {v} for {O}, that is the {size}
q what {size} {do} {S} have
q what {size} {do} {S} need
q which {size} should [you|we] order for {O}
q what {size} should I look for when I buy something for {O}
q what was {P} {size}
q which {size} fits {O}
n {P} correct {size}
n the right {size} for {O}
e which {size} {S} [need|needs]
e what {size} {S} [have|has]

+ height
s {S} [stand|stands] {v} tall
s {S} [measure|measures] {v} from head to toe
s {S} grew to {v}
s the doctor measured {O}, and the height is {v}
s it so happens that {v} is {P} height
s in bare feet {S} {be} {v} tall
s {P} body height is {v}
s on {P} ID card the height is {v}
s {S} [have|has] a height of {v}
q what is {P} body height
q how tall did the doctor say {S} {be}
q how much {do} {S} measure from head to toe
q what height {be} {S}
q what did they measure as {P} height
q how big {be} {S}
q how tall did {S} get
n {P} body height
n how tall {S} {be}
e what {P} height is
e how big {S} {be}

+ weight
s {S} {be} at {v} right now
s {S} [have|has] a weight of {v}
s {P} current weight is {v}
s this morning {S} weighed {v}
s on the scales {S} came to {v}
s {S} [am|is] down to {v} after the diet
s the nurse weighed {O} and wrote down {v}
s in fact {v} is {P} weight
s {P} body weight is {v}
s {S} [bring|brings] {v} to the scales
q how heavy {be} {S}
q what did the scales show for {O}
q what weight {be} {S}
q what {do} {S} weigh
q how much did {S} weigh
q what is {P} current weight
q what is {P} body weight
q what did the scales say about {O}
n {P} body weight
n {P} current weight
e what {S} [weigh|weighs]
e how heavy {S} {be}
e what {P} weight is

+ blood
s the lab says that {P} blood is {v}
s {S} [donate|donates] blood, and the type is {v}
s on {P} donor card it says {v}
s actually {v} is {P} blood type
s in case {S} ever [need|needs] a transfusion, the blood type is {v}
s {S} found out that {P} blood type is {v}
s {S} [belong|belongs] to blood group {v}
s the hospital has {P} blood group down as {v}
s the blood in {P} veins is {v}
q what type of blood {do} {S} have
q what blood type {do} {S} have
q what is {P} blood group
q which type is {P} blood
q what blood would {S} need in a transfusion
q what does {P} donor card say
q which blood group {do} {S} belong to
q what kind of blood {do} {S} have
n the type of {P} blood
n {P} kind of blood
e which blood group {S} [have|has]
e what type of blood {S} [have|has]

+ moving_to
s {S} decided to move to {v}
s {S} [am|is] about to relocate to {v}
s {P} new home will be in {v}
s soon {S} will live in {v}
s {S} [am|is] packing boxes for the move to {v}
s next year {S} will move over to {v}
s yes, {v} is where {S} will move
s {P} move to {v} is coming up
s {S} got a job offer and will move to {v}
s {S} [have|has] plans to leave town and settle in {v}
q where will {S} move
q which city will {S} relocate to
q where {be} {S} relocating
q what city {be} {S} about to move to
q where will {P} new home be
q where {be} {S} going to live next
q where will {S} live soon
q to which city will {S} move
q what is the destination of {P} move
n {P} future city
n the destination of {P} move
n the place {S} will move to
e which city {S} {be} moving to
e where {S} will move
e where {P} new home will be
"""
