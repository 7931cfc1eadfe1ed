"""A release in a folder: `python -m scripts.release OUT`; see docs/releasing.md.

    versions   the one version, and where it is repeated
    wheel      the Python distribution
    charts     Helm packages with the same bytes each time
    sbom       what each lock installs, as CycloneDX
    images     OCI archives, by the local builder
    sums       SHA256SUMS

Everything has the same bytes when it is built again from the same commit, images as long as Debian's packages do.
"""
