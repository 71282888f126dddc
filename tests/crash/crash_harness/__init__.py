"""What the crash tests are made of.

shim.c, shim.py     log and break file operations inside a process
oplog.py, disk.py   what is durable and what is pending after any of them
states.py           which crash states are looked at, by number and seed
play.py, beginnings.py, scenarios.py, mutations.py
                    what is recorded, and what must have happened when
checker.py          what must hold of a state, whatever the crash
host.py             the process that does all this; `Host` talks to one
campaign.py (beside this folder) runs as many states as wanted
"""
