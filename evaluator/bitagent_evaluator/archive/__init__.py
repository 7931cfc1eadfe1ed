"""The archive of finished rounds in S3-compatible storage, and what stays of them on the artifact volume.

    store     requests: conditional puts, uploads in parts, reading back; whose fault a failure is
    folder    the files of a round on the artifact volume, never through a link
    upload    a round's files and reports into the archive, and its index last
    reports   one page for each evaluation
    volume    files of rounds that are not kept, removed from the artifact volume

Which rounds are archived, and when, is decided by the operator.
"""
