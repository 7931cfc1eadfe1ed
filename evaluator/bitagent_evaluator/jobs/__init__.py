"""What runs in the operator's Job pods: a document in, work of the library, a short summary and an exit code out.

`registry` names the handler of each kind of document; `runner` is the frame around all of them (logging, signals, summary, exit code);
`logs` writes log lines as JSON. Handlers translate between document and library and decide whose fault a failure is, nothing else.
"""
