"""Online evaluation: a fresh task for a sample of miners now and then, and a moving average of their scores.

    controller   when a step begins, and what it changes
    attempt      one attempt at a step: what it does by the chain at its block
    step         one step: the task, the questions, the scores, the feedback
    reporting    status, condition and metrics
    transcripts  a line for each step, for people
    examiner     the client of the examiner's socket
    pool         the EvalRounds whose task sets the tasks are drawn from
    pools        these EvalRounds on the API server
    feedback     what a miner is answered about its answer
    means        scores to moving averages
    sample       which miners are asked, and the seeds of a block

What the averages pay is decided by `policy`. Tasks and scores come from the examiner: no data set and no scorer is
here. Everything runs beside the passes of the loop, and none of it can keep weights from being set.
"""
