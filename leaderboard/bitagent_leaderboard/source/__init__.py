"""Where the page's data comes from; only read.

watch      the three kinds by list and watch, as boards
documents  the three kinds from a file of `kubectl get -o json`
manifests  manifests of results from the artifact volume
"""
