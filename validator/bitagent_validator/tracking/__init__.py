"""Steps of online evaluation for a service that people look at. Nothing else waits for it.

tracker  the parent's side: a bounded queue, and a process that is started again
process  that process: Weights & Biases' library, and runs that follow each other
rows     a transcript as the lines that the BitAgent subnet's dashboard reads
"""
