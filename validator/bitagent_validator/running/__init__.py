"""The process at work.

loop     one pass, and when it runs
gauges   the metrics that each pass sets
standby  what a process reports that waits for another Validator of the same hotkey
status   the Validator's status
"""
