"""The three kinds as a person sees them. Pure.

rows         tables of models, rounds and leaderboards
submission   a MinerModel from the options of `submit`, and when it is fetched or refused
ages         ages and durations, in the words of kubectl
"""
