"""Rules: *when* something holds *for* a time, *then* an alert is raised, *until* it holds no more.

`conditions` reads the *when*, `watch` is one rule on one device, `engine` finds the watches that a batch of readings
concerns, `alerts` keeps what was raised, and `dry_run` tells what a rule would have raised in the past.
"""
