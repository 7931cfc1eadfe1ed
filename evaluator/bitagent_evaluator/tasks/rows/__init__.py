"""From one row of data to a task: a reader for each row format.

    base          the interface of row readers, and why a row is not a task
    convert       convert rows to tasks and count skipped rows by reason; the table from row format to reader
    task          rows that are tasks already; tasks built of messages, functions and calls, for the other formats
    glaive, bitagent, openai, sharegpt, columns
                  the other row formats
    chats         which messages of a chat are the task, and which calls its answer
    functions     function descriptions of other conventions in BFCL's form
    calls         plain calls, and the ground truth that follows from them
    checks        what the scorer needs of a task

Where rows come from is `bitagent_evaluator.tasks.sources`.
"""
