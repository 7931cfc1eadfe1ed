"""Handlers of the operator's Jobs: a document in, work of the library, a short summary out.

    runner      the frame around all handlers: document, SIGTERM, unexpected exceptions, summary
    fetch       a model into the cache
    task_set    a round's task set
    evaluate    one model on a task set
    pack        several models with one engine: starts its process; pack_engine: the work of that process;
                pack_outcomes: how each model's outcome reaches the container that ends as the model did
    archive     a finished round's files into the archive
    retention   the files of rounds that are not kept off the artifact volume

    progress_server    the progress of an evaluation over HTTP, beside it

Handlers translate between document and library, and decide whose fault a failure is; nothing else happens here.
"""
