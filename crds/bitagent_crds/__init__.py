"""The contract between the parts of bitagent, and with its users.

    minermodel.py, evalround.py, validator.py    the three custom resources
    model_result.py    the result of one model in a round
    tasks.py, alterations.py, evaluation.py      parts of their specs: task sets, and how models are evaluated
    rewriter.py                                  part of a Validator's spec: the language model that rewords questions
    online.py, discovery.py                      parts of it, too: tasks for miners; models that miners submit
    tracking.py                                  services that it reports to
    seeds.py                                     seeds that are unknown until the models are fixed
    conditions.py, status.py                     types of conditions, and reasons; conditions as a status has them
    jobs.py                                      documents and summaries of Jobs
    examiner.py                                  messages between a validator and its examiner
    task_set.py, results.py                      files of task sets, and of results
    task_forms.py                                right answers, languages, and formats of prompts, as enumerations
    archive.py                                   index of the archive of a round
    leaderboard.py                               the public, signed leaderboard of a round
    sketches.py                                  sketches of weights and answers, by which models are compared
    memory.py                                    memory that an evaluation needs, and that a round allows
    names.py                                     labels, and directories of the shared volumes
    plugins.py                                   scorers, prompt formats and policies of installed packages
    policies.py                                  weight policies: names, parameters, why a hotkey earns or does not
    ranking.py                                   ranks of the models of a round
    fields.py, schema.py                         bounded field types; base classes and structural schemas
    texts.py                                     digests, scores and losses as texts
    docstrings.py                                docstrings of members, and schemas with them as descriptions
    defaults.py                                  which defaults the API server writes into objects
    generate.py, reference.py                    CustomResourceDefinitions and docs/reference.md from the models
    logs.py, printable.py                        format of log lines; texts that may be shown
    advice.py, status_rows.py                    what to do about a reason; rows of a status for a terminal
    permissions.py                               rules of the operator's Role and of a validator's

Only `generate` reads or writes files. Nothing here imports kopf, vLLM or bittensor.
"""
