"""Where the page's data comes from; only read.

watch      the three kinds by list and watch, as boards
documents  the three kinds from a file of `kubectl get -o json`
origin     what is read from where, and the boards of it at one moment
manifests  manifests of results from the artifact volume
"""
