"""What unilaw must survive: `python -m tests.chaos` does all of it, tests/test_chaos.py the short
forms.

    storm.py        SIGKILL of the driver, of workers, and of everything at once, at random moments
    cluster.py      nodes that are lost, join late or are given notice; a head that is lost
    disks.py        a disk that fills up: a trial's, and the store's
    memory.py       a trial that allocates without end, until Ray's memory monitor ends it
    buckets.py      an S3 server that answers 500, 503 or slowly
    rivals.py       two drivers on one store at once
    signals.py      runs and workers that are told to end, a Ray that is stopped, a closed laptop
    three_nodes.py  the sweep `universal`, small, with a node killed, beside an undisturbed run

Trials that go wrong by themselves are in tests/dispatch/test_poison.py, stores of other schema
versions in tests/store.
"""
