"""One run of a model on a task set, from files to files; used by the command line and by Jobs.

    run, remote             a run with an engine in this process, or with an endpoint (`endpoint_prompts`)
    strategies/             how tasks are put to a model: single turn, conversations, losses
    journal                 answers on disk, kept through kills and restarts
    budget, metered         what a model may spend: generated tokens and time
    blame, watchdog         whose fault a lack of memory is; an engine that hangs
    scoring_pool            verdicts, while answers still arrive
    diagnosis, findings     what cost a model its score apart from wrong calls
    results, timeline       the files of a run; `answer_sketch` is what its answers are compared by
    reproduce               a run repeated from its manifest
    given_answers           answers that were made elsewhere

Engines, prompt formats and scorers have folders of their own.
"""
