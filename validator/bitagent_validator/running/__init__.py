"""The process at work.

process   what it consists of, from its start to its end
loop      one pass, and when it runs
checks    what a pass consists of, and what keeps it from that
policies  the policies of packages, in processes with a time limit (`policy_process`)
readings  what was read of the chain last, and when again
reports   what a pass says: status and gauges
gauges    the metrics that each pass sets
status    the Validator's status
standby   what a process reports that waits for another Validator of the same hotkey
"""
